"""What a reader of verdicts should also know: what ports could reach, and answers too good."""

from collections.abc import Iterator, Sequence

from conformance.process.sandbox import Reach
from conformance.record.models import PortInfo, Results
from conformance.verdict.verdict import Verdict

MOST_INEXACT = 1000  # numbers of which a program may hit each one exactly without a remark


def remarks(results: Results) -> Iterator[str]:
    """Sentences on a run, none of which changes a verdict."""
    if said := within_reach(results.ports):
        yield f"{said}; see conformance/process/README.md"
    for info in results.ports:
        if too_exact([v for v in results.results if v.port == info.port]):
            yield (
                f"{info.port}: every number is exactly the golden one, which no floating-point "
                "program computes: were the answers looked up?"
            )


def too_exact(verdicts: Sequence[Verdict]) -> bool:
    """True of a port that never strays, on many numbers from which correct programs do."""
    inexact = sum(v.numbers_inexact for v in verdicts)
    return inexact > MOST_INEXACT and all(v.margin == 0 for v in verdicts if v.numbers_compared)


def within_reach(ports: Sequence[PortInfo]) -> str:
    """What some port could reach, and why, as a sentence; empty if none could reach anything."""
    found = {reach for port in ports for reach in port.within_reach or ()}
    if not found:
        return ""
    *others, last = [reach for reach in Reach if reach in found]
    names = f"{', '.join(others)} and {last}" if others else last
    landlock = "no Landlock, " * bool(found - {Reach.NETWORK})
    return f"within the ports' reach: {names} ({landlock}no name spaces)"
