"""`python -m conformance`: what surrounds a run. The run itself is `pytest conformance`."""

import argparse
import json
import sys

from rich.table import Table
from rich.text import Text

from conformance import build, ports, report
from conformance.results import Results


def main() -> int:
    """Run one command; a user's mistake ends in one sentence on stderr and status 2."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("ports", help="what is here and what is missing")
    listing.add_argument("port", nargs="*", help="names or folders (default: all)")
    commands.add_parser("schema", help="print the JSON schema of results files")
    arguments = parser.parse_args()
    if arguments.command == "schema":
        print(json.dumps(Results.model_json_schema(), indent=1))
        return 0
    try:
        list_ports(ports.select(arguments.port))
    except ports.PortError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


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
