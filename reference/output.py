"""Standard output that cannot fail for what a character is."""

import io
import sys


def replace_unprintable() -> None:
    """Have a `?` printed for what the terminal's encoding lacks; stderr escapes it by itself."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
