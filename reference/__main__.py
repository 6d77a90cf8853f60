"""`python -m reference`: train a case, or derive golden data. Reached by `make golden`, too."""

import argparse
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

from reference import ball, golden, network
from reference.case import Case, CaseError, DType, load, load_all

CASES = Path("conformance/cases")


def main() -> int:
    """Run one command; a user's mistake ends in one sentence on stderr and status 2."""
    parser = argparse.ArgumentParser(prog="python -m reference", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    train = commands.add_parser("train", help="run a case and print its errors")
    train.add_argument("case", type=Path, metavar="CASE.toml")
    train.add_argument(
        "--arithmetic",
        choices=["float64", "float32", "ball"],
        default="float64",
        help="ball: certified, from the weights in float64 (default: float64)",
    )
    train.add_argument("--json", action="store_true", help="print one JSON object instead")

    derive = commands.add_parser("golden", help="derive golden files")
    derive.add_argument("cases", type=Path, nargs="?", default=CASES, help=f"default: {CASES}")
    derive.add_argument(
        "--check",
        action="store_true",
        help="derive into a temporary folder and compare with the golden files that are there",
    )
    arguments = parser.parse_args()
    try:
        if arguments.command == "train":
            return run_train(arguments.case, arguments.arithmetic, arguments.json)
        return run_golden(arguments.cases, arguments.check)
    except (CaseError, ball.UndecidedError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run_train(path: Path, arithmetic: str, as_json: bool) -> int:
    """Train one case and print the error at each checkpoint."""
    case = load(path)
    checkpoints = []
    for n, error, syn in trace(case, arithmetic):
        weights = [w.tolist() for w in syn]
        checkpoints.append({"iteration": n, "error": error, "weights": weights})
        if not as_json:
            print(f"{n:>10}  {error:.17g}", flush=True)
    if as_json:
        print(json.dumps({"case": case.id, "arithmetic": arithmetic, "checkpoints": checkpoints}))
    return 0


def trace(case: Case, arithmetic: str) -> list[tuple[int, float, list[Any]]]:
    """(iteration, error, weights) at each checkpoint; balls as the doubles nearest to them."""
    dtype: DType = "float32" if arithmetic == "float32" else "float64"
    X, y, syn = case.arrays(dtype)
    checkpoints, settings = case.trace.checkpoints, case.settings(dtype)
    if arithmetic != "ball":
        with np.errstate(over="ignore"):  # a saturated sigmoid: 1 / (1 + inf) is 0, as it should
            run = network.train(X, y, syn, checkpoints, **settings)
            return [(n, float(error), w) for n, error, w in run]

    def exact() -> list[tuple[int, float, list[Any]]]:
        inputs = ball.balls(X), ball.balls(y), [ball.balls(w) for w in syn]
        run = network.train(*inputs, checkpoints, **settings)
        return [
            (n, float(ball.nearest(np.asarray(error))), [ball.nearest(w) for w in weights])
            for n, error, weights in run
        ]

    return ball.certified(exact)[0]


def run_golden(where: Path, check: bool) -> int:
    """Derive golden files for all cases, one process a core; with `check`, compare only.

    They go to the folder `golden` beside the folder of the cases.
    """
    cases = load_all(where)
    out = cases[0].path.resolve().parent.parent / "golden"
    with tempfile.TemporaryDirectory() as temporary:
        target = Path(temporary) if check else out
        different = 0
        for case, derived in derive_all(cases):
            golden.write(target / f"{case.id}.json", derived)
            if check:
                problem = difference(derived, out / f"{case.id}.json")
                different += problem is not None
                print(f"{case.id}: {problem or 'identical values'}", flush=True)
    stray = sorted({p.stem for p in out.glob("*.json")} - {case.id for case in cases})
    if where.is_dir() and stray:
        print(f"{out}: no case for golden files of {', '.join(stray)}: delete them")
        different += 1
    return 1 if different else 0


def derive_all(cases: list[Case]) -> "list[tuple[Case, dict[str, Any]]]":
    """Each case with its golden file, in order, deriving cases and dtypes in parallel."""
    results: dict[tuple[str, DType], dict[str, Any]] = {}
    started = time.monotonic()
    # The longest first, so that no core idles at the end.
    by_work = sorted(cases, key=lambda case: -case.training.iterations)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = {
            pool.submit(golden.derive, case, dtype): (case.id, dtype)
            for case in by_work
            for dtype in golden.DTYPES
        }
        for done, job in enumerate(as_completed(jobs), 1):
            results[jobs[job]] = job.result()
            name, dtype = jobs[job]
            print(
                f"[{done}/{len(jobs)}] {name} {dtype}: certified at "
                f"{results[name, dtype]['precision_bits']} bits "
                f"({time.monotonic() - started:.0f} s)",
                file=sys.stderr,
                flush=True,
            )
    return [
        (case, golden.assemble(case, {dtype: results[case.id, dtype] for dtype in golden.DTYPES}))
        for case in cases
    ]


def difference(derived: dict[str, Any], path: Path) -> str | None:
    """How a committed golden file differs from a fresh derivation, or None.

    Values must be identical. Noise is measured with this machine's exp, so it need not be;
    but it must lie below half of the committed tolerance, as every correct variant must.
    """
    if not path.exists():
        return f"{path} is missing: run make golden"
    committed = json.loads(path.read_text(encoding="utf-8"))
    if golden.values_only(committed) != golden.values_only(derived):
        return f"{path} has other values than a fresh derivation: run make golden"
    for dtype in golden.DTYPES:
        for kind in ("checkpoints", "steps"):
            for old, new in zip(committed[dtype][kind], derived[dtype][kind], strict=True):
                for before, after in zip(old["tensors"], new["tensors"], strict=True):
                    if not after["noise"] <= before["tolerance"] / 2:
                        return (
                            f"{path}: {dtype} {before['name']} at iteration {old['iteration']}: "
                            f"noise {after['noise']:.3g} is over half of the committed "
                            f"tolerance {before['tolerance']:.3g}"
                        )
    return None


if __name__ == "__main__":
    sys.exit(main())
