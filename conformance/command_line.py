"""The command line: `python -m conformance`, or `backprop-conformance` where pip installed it."""

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import ModuleType
from typing import get_args

from pydantic import BaseModel
from rich.table import Table
from rich.text import Text

from conformance import __version__
from conformance.bench import options as bench_options
from conformance.ground.places import BUILD, CASES, HERE, IN_CLONE, NAME, ROOT, from_here
from conformance.ground.statuses import Status
from conformance.ground.terminal import Joined, OptionError, Parser, console, path, paths, text
from conformance.record import merge, store
from conformance.record.models import Results
from conformance.session import options
from conformance.targets import build, manifest, starter
from reference.errors import UserError


def main() -> int:
    """Run one command; a user's mistake ends in one sentence on stderr and status 2."""
    arguments = parser().parse_args()
    try:
        return int(arguments.run(arguments) or 0)
    except BrokenPipeError:  # the reader has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def parser() -> Parser:
    """All commands and their options."""
    found = Parser(prog="python -m conformance" if IN_CLONE else NAME, description=__doc__)
    found.add_argument("--version", action="version", version=f"{NAME} {__version__}")
    commands = found.add_subparsers(required=True, metavar="COMMAND")
    ports = "names or folders; default: all of ports/"

    check = commands.add_parser("check", help="judge ports, then time those that pass")
    check.add_argument("ports", nargs="*", type=text, metavar="PORT", help=ports)
    options.add(check.add_argument)
    check.add_argument("--junit", type=path, metavar="FILE", help="a JUnit report besides")
    check.set_defaults(run=check_ports)

    listing = commands.add_parser("ports", help="what is here and what is missing")
    listing.add_argument("ports", nargs="*", type=text, metavar="PORT", help=ports)
    listing.add_argument("--missing", action="store_true", help="only what would install the rest")
    listing.set_defaults(run=list_ports)

    new = commands.add_parser("new-port", help="write a folder to begin a port with")
    new.add_argument("folder", type=path, metavar="FOLDER", help="its last part is the port's name")
    kinds = get_args(manifest.Kind)
    new.add_argument("kind", choices=kinds, metavar="KIND", help=" or ".join(kinds))
    new.set_defaults(run=new_port)

    wrong = ", ".join(status for status in Status if status.wrong)
    joined = commands.add_parser(
        "merge",
        help="join results files of several machines into one table",
        epilog="A verdict is stale (*) if the port's files, the case or its golden data are not "
        "those of this clone now. Of one machine the newest counts that is not stale. The exit "
        f"status is 1 if one of those is {wrong}, 2 for a file that cannot "
        "be used, and else 0.",
    )
    joined.add_argument(
        "files",
        nargs="*",
        action=Joined,
        type=paths,
        metavar="FILE",
        help="default: those of conformance/record/committed/",
    )
    joined.add_argument("--json", type=path, metavar="FILE", help="where the merged file goes")
    joined.set_defaults(run=merge.main)

    schema = commands.add_parser("schema", help="print the JSON schema of results files")
    other = schema.add_mutually_exclusive_group()
    other.add_argument("--bench", action="store_true", help="of the files of bench")
    other.add_argument("--merged", action="store_true", help="of the files of merge")
    schema.set_defaults(run=print_schema)

    race = commands.add_parser("bench", help="time ports on networks of three sizes, or of many")
    bench_options.add(race)
    race.set_defaults(run=bench)

    paged = commands.add_parser("report", help="write results as a page, a summary and badges")
    paged.add_argument(
        "results",
        nargs="?",
        type=path,
        default=from_here(BUILD / "results.json"),
        metavar="FILE",
        help="what check wrote; default: %(default)s",
    )
    paged.add_argument(
        "--bench",
        nargs="*",
        action=Joined,
        type=paths,
        default=[],
        metavar="FILE",
        help="what bench wrote",
    )
    paged.add_argument(
        "--folder",
        type=path,
        default=from_here(BUILD / "report"),
        help="where it goes; default: %(default)s",
    )
    paged.set_defaults(run=write_report)

    compared = commands.add_parser(
        "curves", help="who is fastest where, from bench files of one machine or several"
    )
    compared.add_argument(
        "files", nargs="+", action=Joined, type=paths, metavar="FILE", help="what bench wrote"
    )
    compared.add_argument(
        "--plot",
        type=path,
        default=from_here(BUILD / "curves.svg"),
        metavar="FILE.svg",
        help="where the plot goes; default: %(default)s",
    )
    compared.set_defaults(run=compare_files)

    bite = commands.add_parser("teeth", help="measure that bugs are caught and variants are not")
    bite.add_argument("--cases", type=path, default=CASES, metavar="FOLDER", help="default: all")
    bite.add_argument(
        "--results",
        type=path,
        default=from_here(BUILD / "teeth.json"),
        metavar="FILE",
        help="where the margins go; default: %(default)s",
    )
    bite.set_defaults(run=show_teeth)
    return found


class Interrupt:
    """A plugin of pytest that sees a ^C. Before the first test, pytest itself would end with 2."""

    seen = False

    def pytest_keyboard_interrupt(self) -> None:
        """See the hook of that name."""
        self.seen = True


def check_ports(arguments: argparse.Namespace) -> int:
    """Run pytest on the matrix, without the configuration and plugins of what is around."""
    import pytest  # here, since the other commands can spare it

    alone = ["-c", os.devnull, "--rootdir", str(ROOT), "-p", "no:cacheprovider"]
    alone.append("--disable-plugin-autoload")  # Hypothesis alone takes a second at the end
    quiet = ["-q", "--no-header", "--tb=short"]
    report = []
    if arguments.junit is not None:
        store.check_writable(arguments.junit)
        report = [f"--junit-xml={arguments.junit}", "-o", f"junit_suite_name={NAME}"]
    # conftest.py takes the options from there, rather than parse them once more.
    interrupt = Interrupt()
    handed = [options.Options.of(arguments), interrupt]
    status = int(pytest.main([str(HERE / "test_ports.py"), *alone, *quiet, *report], handed))
    return 130 if interrupt.seen else status


def bench(arguments: argparse.Namespace) -> int:
    """Time ports; 1 if one was wrong, or none was timed."""
    return int(_with_plots("conformance.bench.command").main(arguments))


def compare_files(arguments: argparse.Namespace) -> None:
    """Compare the times of several machines."""
    _with_plots("conformance.bench.command").compare(arguments)


def write_report(arguments: argparse.Namespace) -> None:
    """Write the page."""
    _with_plots("conformance.page.command").main(arguments)


def _with_plots(module: str) -> ModuleType:
    """A module that draws. Raises OptionError, before any work is done, if a package is missing.

    It is loaded here, since the other commands can spare what it needs.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        install = "make .venv/reported" if IN_CLONE else f"pip install {NAME}"
        raise OptionError(f"{error.name} is not installed; install it: {install}") from error


def new_port(arguments: argparse.Namespace) -> None:
    """Write the folder, and say what is next."""
    print(starter.write(arguments.folder, arguments.kind))


def print_schema(arguments: argparse.Namespace) -> None:
    """For whoever reads results files."""
    model: type[BaseModel] = merge.Merged if arguments.merged else Results
    if arguments.bench:
        from conformance.bench.files import Bench  # here, since the other commands can spare it

        model = Bench
    print(json.dumps(model.model_json_schema(), indent=1))


def show_teeth(arguments: argparse.Namespace) -> int:
    """Measure the margins; 1 if one is lost."""
    if not IN_CLONE:
        raise OptionError("teeth: variants are made of the C port, which is in a clone only")
    from conformance.selftest import teeth  # no wheel has it

    return teeth.main(arguments)


def list_ports(arguments: argparse.Namespace) -> None:
    """A row a port: its toolchain's version, or the command that would install it."""
    chosen = manifest.select(arguments.ports)
    with ThreadPoolExecutor() as pool:  # some take seconds to say their version
        found = list(zip(chosen, pool.map(_detect, chosen), strict=True))
    if arguments.missing:
        missing = [port.manifest.toolchain for port, (toolchain, _) in found if not toolchain.ok]
        for install in dict.fromkeys(toolchain.install for toolchain in missing):
            print(install)
        return
    table = Table()
    for heading in ("port", "language", "kind", "toolchain", "device"):
        table.add_column(heading)
    for port, (toolchain, device) in found:
        have = Text(toolchain.text, style="green")
        absent = Text(f"missing: {port.manifest.toolchain.install}", style="yellow")
        shown = have if toolchain.ok else absent
        where = Text(device.text, style="" if device.ok else "dim")
        table.add_row(port.name, port.manifest.language, port.manifest.kind, shown, where)
    console().print(table)


def _detect(port: manifest.Port) -> tuple[build.Outcome, build.Outcome]:
    """A port's toolchain, and its device: looked for only where the toolchain is."""
    toolchain = build.detect_toolchain(port)
    if port.manifest.device is not None and not toolchain.ok:
        return toolchain, build.Outcome(False, "")
    return toolchain, build.detect_device(manifest.Target(port))
