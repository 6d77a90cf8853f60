"""What a person reads while work is going on."""

import sys


def progress(text: str) -> None:
    """A line about long work, on stderr so that stdout stays for results."""
    print(text, file=sys.stderr, flush=True)
