"""Takes out of a text what says who ran it, and what the environment keeps secret."""

import os
import re
from functools import partial

from conformance.process.environment import SECRET

SHORTEST_SECRET = 6  # characters; a shorter text may be anywhere by chance
# An absolute path; in a JSON text, one may follow the two characters of a line's end.
PATH = re.compile(r"""(?:(?<![\w~./])|(?<=\\n))/[^\s"'<>|:;,()\\]+""")


def anonymous(data: bytes) -> bytes:
    """The same without the environment's secrets, the home folder, and the user's name in paths."""
    text = data.decode(errors="surrogateescape")
    for name, value in os.environ.items():
        if SECRET.search(name) and len(value) >= SHORTEST_SECRET:
            text = text.replace(value, "(removed)")
    home = os.path.expanduser("~")  # noqa: PTH111 (Path.home raises where there is none)
    for folder in {home, os.path.realpath(home)} - {"/", "~"}:
        text = re.sub(re.escape(folder) + r"(?![\w-])", "~", text)
    users = {os.environ.get("USER"), os.environ.get("LOGNAME"), os.path.basename(home)}  # noqa: PTH119
    for user in filter(None, users - {"~"}):
        name_of_user = re.compile(rf"(?<![A-Za-z0-9]){re.escape(user)}(?![A-Za-z0-9])")
        text = PATH.sub(partial(_without, name_of_user), text)
    return text.encode(errors="surrogateescape")


def _without(name: re.Pattern[str], path: re.Match[str]) -> str:
    return name.sub("user", path[0])
