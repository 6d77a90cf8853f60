"""The command line: `python -m conformance`, or `backprop-conformance` where pip installed it."""

import argparse
import os
import sys
from importlib import import_module
from types import ModuleType

from conformance import __version__
from conformance.ground.places import BUILD, IN_CLONE, NAME, from_here
from conformance.ground.statuses import Status
from conformance.ground.terminal import (
    Joined,
    OptionError,
    Parser,
    path,
    paths,
    progress,
    say,
    text,
)
from reference.errors import UserError

# What a command needs, it imports itself: who asks again and again should not wait for the others.


def main() -> int:
    """Run one command; a user's mistake ends in one sentence on stderr and status 2."""
    arguments = parser().parse_args()
    try:
        return int(arguments.run(arguments) or 0)
    except BrokenPipeError:  # the reader has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except UserError as error:
        progress(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        progress("interrupted")
        return 130


def parser() -> Parser:
    """All commands; the options of each are below."""
    found = Parser(prog="python -m conformance" if IN_CLONE else NAME, description=__doc__)
    found.add_argument("--version", action="version", version=f"{NAME} {__version__}")
    commands = found.add_subparsers(required=True, metavar="COMMAND")
    for name, fill, told in (
        ("check", _check, "judge ports, then time those that pass"),
        ("ask", _ask, "print the requests that a port gets, or start it with them"),
        ("ports", _ports, "what is here and what is missing"),
        ("new-port", _new_port, "write a folder to begin a port with"),
        ("merge", _merge, "join results files of several machines into one table"),
        ("schema", _schema, "print the JSON schema of results files"),
        ("bench", _bench, "time ports on networks of three sizes, or of many"),
        ("report", _report, "write results as a page, a summary and badges"),
        ("curves", _curves, "who is fastest where, from bench files of one machine or several"),
        ("teeth", _teeth, "measure that bugs are caught and variants are not"),
    ):
        commands.add_parser(name, help=told, fill=fill)
    return found


def _add_ports(parser: Parser) -> None:
    parser.add_argument(
        "ports",
        nargs="*",
        type=text,
        metavar="PORT",
        help="names or folders; default: all of ports/",
    )


def _check(parser: Parser) -> None:
    from conformance.session import options

    _add_ports(parser)
    options.add(parser.add_argument)
    options.add_strict(parser.add_argument)
    parser.add_argument("-v", "--verbose", action="store_true", help="print all verdicts and times")
    parser.add_argument("--junit", type=path, metavar="FILE", help="also write a JUnit report")
    parser.set_defaults(run=check_ports)


def _ask(parser: Parser) -> None:
    parser.add_argument("port", type=text, metavar="PORT", help="a name or a folder")
    parser.add_argument(
        "--cases", type=text, help="ids, capabilities, files, or a folder; default: this suite"
    )
    parser.add_argument(
        "--run",
        action="store_true",
        dest="start",
        help="start the port with them as its input; its answers go to the terminal",
    )
    parser.set_defaults(run=ask_port)


def _ports(parser: Parser) -> None:
    _add_ports(parser)
    parser.add_argument("--missing", action="store_true", help="only what would install the rest")
    parser.set_defaults(run=list_ports)


def _new_port(parser: Parser) -> None:
    from typing import get_args

    from conformance.targets.manifest import Kind

    parser.add_argument(
        "folder", type=path, metavar="FOLDER", help="its last part is the port's name"
    )
    kinds = get_args(Kind)
    parser.add_argument("kind", choices=kinds, metavar="KIND", help=" or ".join(kinds))
    parser.set_defaults(run=new_port)


def _merge(parser: Parser) -> None:
    wrong = ", ".join(status for status in Status if status.wrong)
    parser.epilog = (
        "A verdict is stale (*) if the port's files, the case or its golden data are not "
        "those of this clone now. Of one machine the newest counts that is not stale. The exit "
        f"status is 1 if one of those is {wrong}, 2 for a file that cannot "
        "be used, and else 0."
    )
    parser.add_argument(
        "files",
        nargs="*",
        action=Joined,
        type=paths,
        metavar="FILE",
        help="default: those of conformance/record/committed/",
    )
    parser.add_argument("--json", type=path, metavar="FILE", help="where the merged file goes")
    parser.set_defaults(run=merge_files)


def _schema(parser: Parser) -> None:
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--bench", action="store_true", help="of the files of bench")
    other.add_argument("--merged", action="store_true", help="of the files of merge")
    parser.set_defaults(run=print_schema)


def _bench(parser: Parser) -> None:
    from conformance.bench import options

    _add_ports(parser)
    options.add(parser)
    parser.set_defaults(run=bench)


def _report(parser: Parser) -> None:
    parser.add_argument(
        "results",
        nargs="?",
        type=path,
        default=from_here(BUILD / "results.json"),
        metavar="FILE",
        help="what check wrote; default: %(default)s",
    )
    parser.add_argument(
        "--bench",
        nargs="*",
        action=Joined,
        type=paths,
        default=[],
        metavar="FILE",
        help="what bench wrote",
    )
    parser.add_argument(
        "--folder",
        type=path,
        default=from_here(BUILD / "report"),
        help="where it goes; default: %(default)s",
    )
    parser.set_defaults(run=write_report)


def _curves(parser: Parser) -> None:
    parser.add_argument(
        "files", nargs="+", action=Joined, type=paths, metavar="FILE", help="what bench wrote"
    )
    parser.add_argument(
        "--plot",
        type=path,
        default=from_here(BUILD / "curves.svg"),
        metavar="FILE.svg",
        help="where the plot goes; default: %(default)s",
    )
    parser.set_defaults(run=compare_files)


def _teeth(parser: Parser) -> None:
    parser.add_argument("--cases", type=path, metavar="FOLDER", help="default: all")
    parser.add_argument(
        "--results",
        type=path,
        default=from_here(BUILD / "teeth.json"),
        metavar="FILE",
        help="where the margins go; default: %(default)s",
    )
    told = (
        "write the margins to conformance/selftest/margins.json, which later runs must not undercut"
    )
    parser.add_argument("--update", action="store_true", help=told)
    parser.set_defaults(run=show_teeth)


def check_ports(arguments: argparse.Namespace) -> int:
    """Judge ports; through pytest for a JUnit report, which it writes."""
    from conformance.session import command, options

    chosen = options.Options.of(arguments)
    if arguments.junit is None:
        return command.main(chosen)
    from conformance.session import junit

    return junit.main(chosen, arguments.junit)


def ask_port(arguments: argparse.Namespace) -> int:
    """Print what a port is asked, or start it with that."""
    from conformance.session import ask

    return ask.main(arguments.port, arguments.cases, run=arguments.start)


def merge_files(arguments: argparse.Namespace) -> int:
    """Join results files; 1 if a verdict that counts is wrong."""
    from conformance.record import merge

    return int(merge.main(arguments) or 0)


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
    from conformance.targets import starter

    say(starter.write(arguments.folder, arguments.kind))


def print_schema(arguments: argparse.Namespace) -> None:
    """For whoever reads results files."""
    import json

    from conformance.bench.files import Bench
    from conformance.record.merge import Merged
    from conformance.record.models import Results

    model = Bench if arguments.bench else Merged if arguments.merged else Results
    say(json.dumps(model.model_json_schema(), indent=1))


def show_teeth(arguments: argparse.Namespace) -> int:
    """Measure the margins; 1 if one is lost."""
    if not IN_CLONE:
        raise OptionError("teeth: variants are made of the C port, which is in a clone only")
    from conformance.selftest import teeth  # no wheel has it

    return teeth.main(arguments)


def list_ports(arguments: argparse.Namespace) -> None:
    """List ports with their toolchains, or what would install those that are missing."""
    from conformance.targets import listing

    listing.main(arguments.ports, missing=arguments.missing)
