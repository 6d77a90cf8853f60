"""`python -m reference`: a ^C ends it with one word, even during the second of loading."""

import sys


def main() -> int:
    """Run one command; its status."""
    try:
        from reference import command_line
        from reference.files import replace_unprintable

        replace_unprintable()
        return command_line.main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
