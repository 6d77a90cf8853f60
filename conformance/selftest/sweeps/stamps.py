"""What a sweep is, what its result depends on, and the stamp that says when it last passed.

A stamp holds a hash for each glob of inputs, and a seal over the whole stamp. The seal shows that
a stamp was edited by hand, but it is no secret: whoever wants to can compute another one.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import Field

from reference.cases.tables import Strict
from reference.errors import UserError, reading
from reference.files import write_atomically

PLACE = Path("conformance") / "selftest" / "sweeps"
CATALOGUE = PLACE / "sweeps.toml"
NOT_INSTALLED = "not installed"


class Sweep(Strict):
    """An entry of sweeps.toml."""

    name: str = Field(pattern=r"^[a-z][a-z-]*$")
    what: str = Field(min_length=1)
    command: list[str] = Field(min_length=1)  # {python} is this Python
    inputs: list[str] = Field(min_length=1)  # globs, as git takes them: ** is any depth
    packages: list[str] = []  # whose versions, from the lock files, count as inputs
    tools: list[str] = []  # such as compilers: what `TOOL --version` says is recorded


class Stamp(Strict):
    """What is known of the last run that passed."""

    sweep: str
    passed_on: str  # a date
    took_s: int
    said: str  # the last line that the command printed
    inputs: dict[str, str]  # SHA-256 by glob
    tools: dict[str, str]  # version by tool
    seal: str = ""

    def sealed(self) -> "Stamp":
        """The same with its seal."""
        text = json.dumps(self.model_dump(exclude={"seal"}), sort_keys=True)
        seal = hashlib.sha256(f"{CATALOGUE}\n{text}".encode()).hexdigest()
        return self.model_copy(update={"seal": seal})


@dataclass(frozen=True)
class Sweeps:
    """The sweeps of a clone."""

    root: Path

    def catalogue(self) -> dict[str, Sweep]:
        """All sweeps by name. Raises UserError if the catalogue is not as it should be."""
        path = self.root / CATALOGUE
        with reading(path, UserError, "a list of sweeps"):
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            found = [Sweep.model_validate(entry) for entry in table.get("sweep", [])]
        return {sweep.name: sweep for sweep in found}

    def named(self, names: list[str]) -> list[Sweep]:
        """The sweeps of these names, or all. Raises UserError for a name that is none."""
        catalogue = self.catalogue()
        for name in names:
            if name not in catalogue:
                known = ", ".join(catalogue)
                raise UserError(f"NAME={name}: there is no such sweep; there are {known}")
        return [catalogue[name] for name in names or catalogue]

    def stamp_file(self, sweep: Sweep) -> Path:
        """Where its stamp is, if there is one."""
        return self.root / PLACE / "stamps" / f"{sweep.name}.json"

    def now(self, sweep: Sweep) -> dict[str, str]:
        """SHA-256 of the inputs, by glob. Raises UserError if a glob or package matches nothing."""
        found = {glob: self._hash(sweep, glob) for glob in sweep.inputs}
        if sweep.packages:
            found["packages"] = _sha256("\n".join(sorted(self._pins(sweep))))
        found["command"] = _sha256(json.dumps(sweep.command))
        return found

    def tools(self, sweep: Sweep) -> dict[str, str]:
        """The version of each tool, as it says it."""
        return {tool: _version(tool) for tool in sweep.tools}

    def files(self, glob: str) -> list[str]:
        """The files that git tracks or would track, by their paths below the root."""
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        done = subprocess.run(
            [*listed, "--", f":(glob){glob}"], cwd=self.root, capture_output=True, check=True
        )
        names = {*done.stdout.decode().split("\0")} - {""}
        return sorted(name for name in names if (self.root / name).is_file())  # some are deleted

    def _hash(self, sweep: Sweep, glob: str) -> str:
        digest, names = hashlib.sha256(), self.files(glob)
        if not names:
            raise UserError(f"{CATALOGUE}: {sweep.name}: no file matches {glob!r}")
        for name in names:
            data = (self.root / name).read_bytes()
            digest.update(f"{name} {len(data)}\n".encode() + data)
        return digest.hexdigest()

    def _pins(self, sweep: Sweep) -> Iterator[str]:
        locks = sorted(self.root.glob("requirements*.lock"))
        text = "\n".join(path.read_text(encoding="utf-8") for path in locks)
        for package in sweep.packages:
            pins = re.findall(rf"^{re.escape(package)}==[^ \\\n]+", text, re.M)
            if not pins:
                raise UserError(f"{CATALOGUE}: {sweep.name}: no lock file has {package}")
            yield from sorted({*pins})

    def stale(self, sweep: Sweep) -> str | None:
        """Why the stamp does not stand, as the end of a sentence; None if it does."""
        if not self.stamp_file(sweep).exists():
            return "has no stamp"
        stamp = self.read(sweep)
        if stamp != stamp.sealed() or stamp.sweep != sweep.name:
            return "has a stamp that the sweep did not write"
        now = self.now(sweep)
        changed = [key for key in {**now, **stamp.inputs} if now.get(key) != stamp.inputs.get(key)]
        if changed:
            return f"last passed on {stamp.passed_on}, and these have changed: {', '.join(changed)}"
        return None

    def read(self, sweep: Sweep) -> Stamp:
        """The stamp. Raises UserError if it is not one."""
        path = self.stamp_file(sweep)
        with reading(path, UserError, "a stamp of a sweep"):
            return Stamp.model_validate_json(path.read_bytes())

    def write(self, sweep: Sweep, inputs: dict[str, str], took_s: float, said: str) -> Stamp:
        """Stamp a run that passed, on these inputs."""
        stamp = Stamp(
            sweep=sweep.name,
            passed_on=date.today().isoformat(),
            took_s=round(took_s),
            said=said,
            inputs=inputs,
            tools=self.tools(sweep),
        ).sealed()
        text = json.dumps(stamp.model_dump(), indent=1)
        write_atomically(self.stamp_file(sweep), f"{text}\n")
        return stamp


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _version(tool: str) -> str:
    if shutil.which(tool) is None:
        return NOT_INSTALLED
    done = subprocess.run([tool, "--version"], capture_output=True, text=True, timeout=60)
    lines = (done.stdout + done.stderr).splitlines()
    return next((line.strip() for line in lines if re.search(r"\d", line)), "")


def command(sweep: Sweep) -> list[str]:
    """The words of a sweep's command."""
    return [sys.executable if word == "{python}" else word for word in sweep.command]
