"""What a person sees while the harness works: lines on stderr, tables on stdout."""

import sys

from rich.console import Console


def progress(text: str) -> None:
    """A line about long work, on stderr so that stdout stays for results."""
    print(text, file=sys.stderr, flush=True)


def console() -> Console:
    """Standard output; colour only on a terminal, and never under NO_COLOR."""
    # No markup: what manifests and ports say is shown as it is.
    found = Console(highlight=False, markup=False)
    return found if found.is_terminal else Console(highlight=False, markup=False, width=100)
