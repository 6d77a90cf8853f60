"""Runs sweeps, or says whether their stamps still stand: `make sweep`, `make sweep-check`.

python -m conformance.selftest.sweeps run [NAME ...]      run them; each that passes is stamped
python -m conformance.selftest.sweeps check [NAME ...]    fail if a stamp is missing or stale
python -m conformance.selftest.sweeps list                one line for each, whatever its stamp

`check` takes a sweep from its stamp where no input has changed, and says so. Where only a compiler
has another version than in the stamp, it runs the sweep, without writing the stamp.
"""

import argparse
import os
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from conformance.ground.places import ROOT
from conformance.selftest.sweeps.stamps import Sweep, Sweeps, command
from reference.errors import UserError


def main(words: list[str], root: Path = ROOT) -> int:
    """The exit status: 1 if a sweep fails or a stamp does not stand, 2 for a user's mistake."""
    parser = argparse.ArgumentParser(prog="conformance.selftest.sweeps")
    parser.add_argument("action", choices=["run", "check", "list"])
    parser.add_argument("names", nargs="*", help="names of sweeps; all without any")
    given, sweeps = parser.parse_args(words), Sweeps(root)
    act = {"run": run, "check": check, "list": show}[given.action]
    try:
        results = [act(sweeps, sweep) for sweep in sweeps.named(given.names)]
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: no stamp was written", file=sys.stderr)
        return 130
    return 0 if all(results) else 1


def run(sweeps: Sweeps, sweep: Sweep, *, stamped: bool = True) -> bool:
    """Run a sweep; it gets a stamp if it passes, and loses the one that it has if it fails."""
    before, begun = sweeps.now(sweep), time.monotonic()
    say(f"{sweep.name}: {sweep.what}")
    last: deque[str] = deque(maxlen=1)
    # What is not installed is then a failure, and not a reason to skip; and the last line, which
    # the stamp quotes, is not folded.
    env = os.environ | {"CI": "1", "COLUMNS": "200"}
    with subprocess.Popen(
        command(sweep), cwd=sweeps.root, env=env, text=True, stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            print(line, end="", flush=True)
            last.extend([line.strip()] if line.strip() else [])
    took = time.monotonic() - begun
    if running.returncode != 0:
        if stamped:
            sweeps.stamp_file(sweep).unlink(missing_ok=True)
        say(f"{sweep.name}: FAILED with exit status {running.returncode}, so it has no stamp")
        return False
    if sweeps.now(sweep) != before:
        say(f"{sweep.name}: its inputs changed while it ran, so it has no stamp: run it again")
        return False
    if stamped:
        sweeps.write(sweep, before, took, next(iter(last), ""))
    say(f"{sweep.name}: passed in {took:.0f} s{', and stamped' if stamped else ''}")
    return True


def check(sweeps: Sweeps, sweep: Sweep) -> bool:
    """True if the stamp stands; say what was taken from it, or why it does not."""
    if (why := sweeps.stale(sweep)) is not None:
        say(f"error: sweep {sweep.name} {why}: run make sweep NAME={sweep.name}, commit its stamp")
        return False
    stamp, here = sweeps.read(sweep), sweeps.tools(sweep)
    other = [f"{t} is {here[t]!r}, was {was!r}" for t, was in stamp.tools.items() if here[t] != was]
    if other:
        say(f"{sweep.name}: run again, since a tool has another version: {'; '.join(other)}")
        return run(sweeps, sweep, stamped=False)
    say(f"{sweep.name}: not run, its stamp of {stamp.passed_on} stands: {stamp.said}")
    return True


def show(sweeps: Sweeps, sweep: Sweep) -> bool:
    """Say what a sweep is, and how its stamp is."""
    if (why := sweeps.stale(sweep)) is not None:
        say(f"sweep {sweep.name} {why}: make sweep NAME={sweep.name}")
    else:
        stamp = sweeps.read(sweep)
        say(f"sweep {sweep.name} not run: it passed on {stamp.passed_on}, and nothing has changed")
    return True


def say(text: str) -> None:
    """A line on stdout, at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
