"""What a process says on stderr, and what it means when a signal ends it."""

import signal

from reference import errors

FIRST, LAST = 2, 3  # lines that are shown: some traces begin with the reason, others end with it
LONGEST = 300  # characters of a line that are shown, most of them from its end
FIRST_KEPT, LAST_KEPT = 2000, 4000  # bytes
SAID = 2000  # characters of what a port says in an answer
ANNOUNCES = "it said:"  # ends the line before those of stderr

MEANINGS = {
    signal.SIGABRT: "it called abort, as a failed assertion does",
    signal.SIGBUS: "it used memory that is not there, or at an address that does not fit",
    signal.SIGFPE: "it divided a whole number by zero",
    signal.SIGILL: "it reached an instruction that this processor does not have, or a trap",
    signal.SIGKILL: "something else killed it, as the system does when memory runs out",
    signal.SIGPIPE: "it wrote to a pipe that nobody reads any more",
    signal.SIGSEGV: "it used memory that is not its own",
    signal.SIGTERM: "something else asked it to end",
    signal.SIGTRAP: "it reached a trap or a breakpoint",
    signal.SIGXCPU: "it used more processor time than it may",
}


def killed_by(number: int) -> str:
    """As in "killed by SIGABRT, which means that it called abort"."""
    try:
        name = signal.Signals(number)
    except ValueError:
        return f"killed by signal {number}"
    meaning = MEANINGS.get(name)
    return f"killed by {name.name}" + (f", which means that {meaning}" if meaning else "")


def printable(text: str) -> str:
    """What a port says, fit to be shown, and not too much of it."""
    return errors.printable(text, SAID)


class Words:
    """The beginning of what a process says, from each request on, and the end of all that."""

    def __init__(self) -> None:
        self._first = self._last = b""
        self._count = 0  # bytes since the last request

    def begin(self) -> None:
        """From here on, it may be about another request."""
        self._first, self._count = b"", 0

    def add(self, data: bytes) -> None:
        """Keep what matters of what it says next."""
        self._first += data[: FIRST_KEPT - len(self._first)]
        self._last = (self._last + data[-LAST_KEPT:])[-LAST_KEPT:]
        self._count += len(data)

    def __str__(self) -> str:
        """The lines that are shown, announced and indented; empty if it said nothing."""
        last = _lines(self._last)
        if self._count > LAST_KEPT:
            first = _lines(self._first)[:FIRST]
            lines = [*first, "...", *last[-LAST:]]
        else:
            now = _lines(self._last[-self._count :]) or last  # of what is known, or of all
            lines = now
            if len(now) > FIRST + LAST:
                lines = [*now[:FIRST], "...", *now[-LAST:]]
        return "".join(["; " + ANNOUNCES, *(f"\n    {line}" for line in lines)]) if lines else ""


def _lines(text: bytes) -> list[str]:
    """Those that are not empty, each in one piece and not too long."""
    found = (" ".join(line.split()) for line in text.decode(errors="replace").splitlines())
    return [_cut(printable(line)) for line in found if line]


def _cut(line: str) -> str:
    """A line without its middle if it is long: what happened and why are at its ends."""
    if len(line) <= LONGEST:
        return line
    return f"{line[: LONGEST // 3]} ... {line[-LONGEST * 2 // 3 :]}"
