"""`python -m conformance`: what surrounds a run. The run itself is `pytest conformance`."""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from conformance import build, ports, report, results, teeth
from conformance.results import Results
from reference.case import CaseError, load_all


def main() -> int:
    """Run one command; a user's mistake ends in one sentence on stderr and status 2."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("ports", help="what is here and what is missing")
    listing.add_argument("port", nargs="*", help="names or folders (default: all)")
    commands.add_parser("schema", help="print the JSON schema of results files")
    bite = commands.add_parser("teeth", help="measure that bugs are caught and variants are not")
    bite.add_argument("--cases", type=Path, default=Path(__file__).parent / "cases")
    bite.add_argument("--results", type=Path, default=Path("build/teeth.json"))
    arguments = parser.parse_args()
    try:
        if arguments.command == "schema":
            print(json.dumps(Results.model_json_schema(), indent=1))
        elif arguments.command == "ports":
            list_ports(ports.select(arguments.port))
        else:
            return show_teeth(arguments.cases, arguments.results)
    except (ports.PortError, CaseError, results.ResultsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def show_teeth(cases: Path, path: Path) -> int:
    """Measure, print and write the margins; 1 if one is lost."""
    results.check_writable(path)
    out = report.console()
    chosen = load_all(cases)
    measured = track(
        teeth.measure(chosen), "measuring", teeth.count(chosen), console=Console(stderr=True)
    )
    entries = list(measured)
    found = results.Teeth(
        mutants=[e for e in entries if isinstance(e, results.TeethMutant)],
        variants=[e for e in entries if isinstance(e, results.TeethVariant)],
    )
    report.show_teeth(out, found)
    lost = [f"{e.id} {why}" for e in entries if (why := teeth.lost(e)) is not None]
    for line in lost:
        out.print(f"LOST {line}", style="bold red", soft_wrap=True)
    results.write(
        path,
        Results(
            complete=True,
            machine=results.machine(),
            ports=[],
            results=[],
            capabilities=[],
            timings=[],
            teeth=found,
        ),
    )
    return 1 if lost else 0


def list_ports(chosen: list[ports.Port]) -> None:
    """A row a port: its toolchain's version, or the command that would install it."""
    table = Table()
    for heading in ("port", "language", "kind", "toolchain", "device"):
        table.add_column(heading)
    for port in chosen:
        toolchain = build.detect_toolchain(port)
        device = Text("cpu")
        if port.manifest.device is not None:
            found = build.detect_device(port) if toolchain.ok else build.Outcome(False, "")
            device = Text(found.text, style="" if found.ok else "dim")
        have = Text(toolchain.text, style="green")
        missing = Text(f"missing: {port.manifest.toolchain.install}", style="yellow")
        shown = have if toolchain.ok else missing
        table.add_row(port.name, port.manifest.language, port.manifest.kind, shown, device)
    report.console().print(table)


if __name__ == "__main__":
    sys.exit(main())
