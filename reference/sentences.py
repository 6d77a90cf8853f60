"""Turns a validation error into one sentence for the person who wrote the file."""

from pydantic import ValidationError


def first_error(error: ValidationError) -> str:
    """The first thing that is wrong: key, problem, and what was found."""
    first = error.errors(include_url=False)[0]
    key = ""
    for part in first["loc"]:
        key += f"[{part}]" if isinstance(part, int) else f".{part}"
    key = key.removeprefix(".")
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}"
    if first["type"] == "missing":
        return f"missing key {key!r}"
    if first["type"] == "value_error":
        return f"{key}: {first['ctx']['error']}" if key else str(first["ctx"]["error"])
    found = repr(first["input"])
    found = found if len(found) <= 60 else found[:57] + "..."
    return f"{key}: {first['msg'][0].lower()}{first['msg'][1:]} (found {found})"
