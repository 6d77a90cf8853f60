"""Which systems the harness runs on. Imports nothing that another one may lack."""

import sys

REFUSAL = (
    "backprop-conformance runs on Linux; on macOS and Windows use the container file "
    ".ci/Containerfile of its repository, or on Windows WSL"
)


def refusal() -> str | None:
    """One sentence for a system that it does not run on, or None."""
    return None if sys.platform == "linux" else REFUSAL
