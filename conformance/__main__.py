"""`python -m conformance`: a ^C ends it with one word, even during the second of loading."""

import os
import sys

from conformance.ground import system

# Else pydantic asks every installed package whether it has a plugin.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def main() -> int:
    """Run one command; its status."""
    if (said := system.refusal()) is not None:
        print(f"error: {said}", file=sys.stderr)
        return 2
    try:
        from conformance import command_line
        from reference.files import replace_unprintable

        replace_unprintable()
        return command_line.main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
