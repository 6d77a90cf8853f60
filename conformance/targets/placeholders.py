"""Placeholders: words in braces in a manifest, for folders that only the harness knows."""

import re
from collections.abc import Mapping

from reference.errors import near

PLACEHOLDERS = ("port", "build", "include", "python")
# Not `${word}`, as in shells and JavaScript, nor `{{word}}` of templates, nor `{ word }`.
LOOKS_LIKE_ONE = re.compile(r"(?<![${])\{([^\W\d]\w*)\}(?!\})")
IS_ONE = re.compile(f"{{({'|'.join(PLACEHOLDERS)})}}")


def check(text: str) -> str:
    """The text. Raises ValueError for a word that looks like a placeholder and is not one."""
    for word in LOOKS_LIKE_ONE.findall(text):
        if word not in PLACEHOLDERS:
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise ValueError(
                f"there is no placeholder {{{word}}}, only {known}{near(word, PLACEHOLDERS)} "
                f"(braces for anything else need spaces inside)"
            )
    return text


def named(text: str) -> str:
    """The text as a person reads it: without the braces."""
    return IS_ONE.sub(lambda found: found[1], text)


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with a value for each placeholder; all other braces stay."""
    return IS_ONE.sub(lambda found: values[found[1]], text)
