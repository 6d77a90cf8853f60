"""`python -m conformance`: a ^C is one word, even while the rest is loaded, for a second."""

import os
import sys

# Else pydantic asks every installed package whether it has a plugin.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def main() -> int:
    """Run one command; its status."""
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
