"""A part of an answer as short JSON, to be shown in a message, however large or deep it is."""

import json
from typing import Any

from conformance.process.words import printable

DEPTH, ITEMS, KEYS = 3, 4, 6  # that are shown
TEXT = 60  # characters of a text in it
LONGEST = 160  # characters of it all


def excerpt(value: Any) -> str:
    """A value that json.loads returned, or the bytes of a line, as a text."""
    if isinstance(value, bytes):
        value = value[: 4 * TEXT].decode(errors="replace")
    shown = printable(_json(value, DEPTH))
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}..."


def _json(value: Any, depth: int) -> str:
    if isinstance(value, list | dict) and value and not depth:
        return "[...]" if isinstance(value, list) else "{...}"
    if isinstance(value, list):
        parts = [_json(item, depth - 1) for item in value[:ITEMS]]
        return f"[{', '.join(parts + ['...'] * (len(value) > ITEMS))}]"
    if isinstance(value, dict):
        pairs = [*value.items()][:KEYS]
        parts = [f"{_json(key, 1)}: {_json(item, depth - 1)}" for key, item in pairs]
        return f"{{{', '.join(parts + ['...'] * (len(value) > KEYS))}}}"
    if isinstance(value, str) and len(value) > TEXT:
        value = f"{value[:TEXT]}..."
    text = json.dumps(value, ensure_ascii=False)
    return text if isinstance(value, str) or len(text) <= TEXT else f"{text[:TEXT]}..."
