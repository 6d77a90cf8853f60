"""`python -m reference`: train a case, or derive golden data (`make golden`)."""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reference.algorithm import network
from reference.arithmetic.ball import BALLS
from reference.arithmetic.base import Arithmetic, UndecidedError
from reference.arithmetic.float import FLOAT
from reference.array import Array
from reference.cases import pairs
from reference.cases.case import Case, CaseError, load, load_all
from reference.cases.tables import DType
from reference.errors import Parser, UserError, visible
from reference.golden import checksums, derive
from reference.golden.checks import KEYS, RunCheck
from reference.golden.parallel import in_parallel
from reference.golden.start import Start

# Each with the dtype of the inputs.
ARITHMETICS: dict[str, tuple[Arithmetic, DType]] = {
    "float64": (FLOAT, "float64"),
    "float32": (FLOAT, "float32"),
    "ball": (BALLS, "float64"),
}
CASES = Path("conformance/suite/cases")
PAIRS = Path("conformance/suite/pairs/cases")


def main() -> int:
    """Run one command; a user's mistake ends in one sentence on stderr and status 2."""
    parser = Parser(prog="python -m reference", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    train = commands.add_parser("train", help="run a case and print its errors")
    train.add_argument("case", type=path, metavar="CASE.toml")
    train.add_argument(
        "--arithmetic",
        choices=ARITHMETICS,
        default="float64",
        help="ball: certified, from the weights in float64 (default: float64)",
    )
    train.add_argument("--json", action="store_true", help="print one JSON object instead")

    made = commands.add_parser("golden", help="derive golden files")
    made.add_argument(
        "cases", type=path, nargs="?", help=f"default: {CASES} and {PAIRS}, which is written first"
    )
    made.add_argument(
        "--check",
        action="store_true",
        help="derive into a temporary folder and compare with the golden files that are there",
    )
    arguments = parser.parse_args()
    try:
        if arguments.command == "train":
            return run_train(arguments.case, arguments.arithmetic, arguments.json)
        if arguments.cases is not None:
            return run_golden(arguments.cases, arguments.check)
        outdated = pairs.update(PAIRS, check=arguments.check)
        for name in outdated:
            print(f"{PAIRS / name}: is not what {pairs.SOURCE} says: run make golden")
        both = [run_golden(folder, arguments.check) for folder in (CASES, PAIRS)]
        return max(*both, int(bool(outdated)))
    except BrokenPipeError:  # the reader has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (UserError, OSError) as error:
        print(f"error: {visible(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: nothing that was there has changed", file=sys.stderr)
        return 130


def path(value: str) -> Path:
    """The path of a file or folder; an empty one would be the working folder."""
    if not value.strip():
        raise argparse.ArgumentTypeError("is empty; leave it out, or name a file or folder")
    return Path(value)


def run_train(path: Path, arithmetic: str, as_json: bool) -> int:
    """Train one case and print the error at each checkpoint."""
    case = load(path)
    checkpoints = []
    for n, error, syn in trace(case, arithmetic):
        if not all(np.isfinite(w).all() for w in syn):
            raise CaseError(f"{path}: the weights are no longer finite at iteration {n}")
        if as_json:
            weights = [w.tolist() for w in syn]
            checkpoints.append({"iteration": n, "error": error.tolist(), "weights": weights})
        elif error.ndim == 0:
            print(f"{n:>10}  {error:.17g}", flush=True)
        else:
            of = f"of {error.size} networks"
            print(f"{n:>10}  {error.min():.17g} to {error.max():.17g} {of}", flush=True)
    if as_json:
        print(json.dumps({"case": case.id, "arithmetic": arithmetic, "checkpoints": checkpoints}))
    return 0


def trace(case: Case, name: str) -> Iterator[tuple[int, Array, list[Array]]]:
    """(iteration, error, weights) at each checkpoint, as doubles, in the arithmetic of this name.

    The error is a number, or one for each network of an ensemble. Raises CaseError if balls do
    not settle which doubles are nearest.
    """
    arithmetic, dtype = ARITHMETICS[name]
    check = RunCheck(Start(case, dtype), RunCheck.points_of(case))

    def run() -> Iterator[tuple[int, Array, list[Array]]]:
        for n, tensors in check.computed(network, arithmetic):
            *weights, error = [arithmetic.doubles(value) for _, value in tensors]
            yield n, error, weights

    try:
        # A saturated sigmoid is 1 / (1 + inf) = 0, and a limit over a norm of 0 is not used.
        with np.errstate(over="ignore", divide="ignore"):
            yield from arithmetic.settled(run)
    except UndecidedError as error:
        raise derive.uncertified(case, error) from error


def run_golden(where: Path, check: bool) -> int:
    """Derive golden files for all cases, one process per core; with `check`, compare only.

    They go to the folder `golden` beside the folder of the cases.
    """
    cases = load_all(where)
    out = cases[0].path.resolve().parent.parent / "golden"
    with tempfile.TemporaryDirectory() as temporary:
        target = Path(temporary) if check else out
        different = 0
        for case, derived in derive_all(cases):
            derive.write(target / f"{case.id}.json", derived)
            if not check:
                checksums.record(out, [out / f"{case.id}.json"])
                print(visible(str(target / f"{case.id}.json")))
            else:
                problem = difference(derived, out / f"{case.id}.json")
                different += problem is not None
                print(f"{case.id}: {problem or 'identical values'}", flush=True)
    stray = sorted({p.stem for p in out.glob("*.json")} - {case.id for case in cases})
    if where.is_dir() and stray:
        print(visible(f"{out}: no case for golden files of {', '.join(stray)}: delete them"))
        different += 1
    if check:
        print(f"{len(cases)} golden files derived again, {different} problems")
    return 1 if different else 0


def derive_all(cases: list[Case]) -> list[tuple[Case, dict[str, Any]]]:
    """Each case with its golden file, in order, deriving cases and dtypes in parallel."""
    results: dict[tuple[str, DType], dict[str, Any]] = {}
    started = time.monotonic()
    # The longest first, so that no core idles at the end.
    by_work = sorted(cases, key=lambda case: -case.iterations)
    keys = [(case, dtype) for case in by_work for dtype in derive.DTYPES]
    jobs = [partial(derive.derive, case, dtype) for case, dtype in keys]
    for (case, dtype), derived in zip(keys, in_parallel(jobs), strict=True):
        results[case.id, dtype] = derived
        print(
            f"[{len(results)}/{len(jobs)}] {case.id} {dtype}: certified at "
            f"{derived['precision_bits']} bits ({time.monotonic() - started:.0f} s)",
            file=sys.stderr,
            flush=True,
        )
    return [
        (case, derive.assemble(case, {dtype: results[case.id, dtype] for dtype in derive.DTYPES}))
        for case in cases
    ]


def difference(derived: dict[str, Any], path: Path) -> str | None:
    """How a committed golden file differs from a new derivation, or None."""
    if not path.exists():
        return f"{path} is missing: run make golden"
    try:
        committed = json.loads(path.read_text(encoding="utf-8"))
        if derive.values_only(committed) != derive.values_only(derived):
            return f"{path} has other values than a fresh derivation: run make golden"
        for key in ("replicas", "factor", "seed"):
            if committed["made_from"][key] != derived["made_from"][key]:
                return f"{path} was made with another {key}: run make golden"
        for place, before, after in _pairs(committed, derived):
            if (problem := _noise_problem(before, after, place[0])) is not None:
                return f"{path}: {', '.join(map(str, place))}: {problem}"
    except (ValueError, KeyError, TypeError) as error:
        return f"{path} is not a golden file ({type(error).__name__}: {error}): run make golden"
    problem = checksums.problem(path)
    return f"{path} {problem}: run make golden" if problem else None


def _pairs(
    committed: dict[str, Any], derived: dict[str, Any]
) -> Iterator[tuple[tuple[DType, str, int, str], dict[str, Any], dict[str, Any]]]:
    """Each tensor of two golden files with equal values, and its place in them."""
    for dtype in derive.DTYPES:
        for kind in KEYS:
            for old, new in zip(committed[dtype][kind], derived[dtype][kind], strict=True):
                for before, after in zip(old["tensors"], new["tensors"], strict=True):
                    yield (dtype, kind, old["iteration"], before["name"]), before, after


def _noise_problem(before: dict[str, Any], after: dict[str, Any], dtype: DType) -> str | None:
    """Noise is measured with this machine's exp, so it may differ, but not by much."""
    if before["tolerance"] != derive.tolerance(before["noise"], dtype):
        return f"the tolerance is not {derive.FACTOR} times the noise: run make golden"
    if not before["noise"] / 4 <= after["noise"] <= before["noise"] * 4:
        return f"the noise is {before['noise']:.3g}, but {after['noise']:.3g} in a fresh derivation"
    return None
