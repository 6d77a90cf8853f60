"""Recomputes golden files, and prints how many of their numbers agree.

python -m conformance.selftest.oracle    as in the tests: a budget for each case
python -m conformance.selftest.oracle --budget inf         every number; takes some minutes
python -m conformance.selftest.oracle --mpmath three-layer in mpmath's numbers, only these cases
"""

import argparse
import sys
from pathlib import Path

from conformance.selftest.oracle.numbers import mpfr, python
from conformance.selftest.oracle.recompute import BUDGET, load_golden, recompute

SUITE = Path(__file__).parents[2] / "suite"
FOLDERS = (SUITE / "cases", SUITE / "pairs" / "cases")


def main() -> int:
    """Print a line for each case; the status is 1 if a number differs."""
    parser = argparse.ArgumentParser(prog="conformance.selftest.oracle")
    parser.add_argument("cases", nargs="*", help="names of cases; default: all")
    parser.add_argument(
        "--budget", type=float, default=BUDGET, help="operations per case and dtype"
    )
    parser.add_argument("--mpmath", action="store_true", help="use mpmath's numbers, not MPFR's")
    options = parser.parse_args()
    arithmetic = python() if options.mpmath else mpfr()
    files = {file.stem: file for folder in FOLDERS for file in sorted(folder.glob("*.toml"))}
    names = options.cases or [*files]
    numbers = recomputed = cancelled = differing = 0
    for name in names:
        file = files[name]
        report = recompute(file, load_golden(file), arithmetic, options.budget)
        print(f"{name:22} {report.recomputed:7,} of {report.numbers:7,}", flush=True)
        for line in report.differing:
            print(f"    differs: {line}")
        numbers += report.numbers
        recomputed += report.recomputed
        cancelled += report.cancelled
        differing += len(report.differing)
    print(f"{recomputed:,} of {numbers:,} numbers recomputed: {recomputed - differing:,} are equal")
    print(f"({cancelled:,} of them are 0 because their terms cancel), {differing:,} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
