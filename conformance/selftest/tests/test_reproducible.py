"""The same commit gives the same golden bytes and verdicts, wherever it is and in any locale."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from conformance.selftest.tests.conftest import CASES, copied
from reference.golden import checksums

NAMES = ("one-step", "smallest", "softmax-one", "shuffle-two", "dropout-one", "numpy-seed-small")
ELSEWHERE: list[tuple[str, dict[str, str], int]] = [
    ("plain", {"TZ": "UTC", "LANG": "C", "LC_ALL": "C", "PYTHONHASHSEED": "1"}, 0o022),
    ("ein Ort, à côté", {"TZ": "Asia/Kolkata", "LC_ALL": "tr_TR.UTF-8"}, 0o077),
    ("deep/er/down", {"TZ": "America/St_Johns", "LANG": "de_DE", "PYTHONUTF8": "0"}, 0o000),
]


def run(folder: Path, env: dict[str, str], umask: int, *words: str) -> None:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=kept | env | {"PYTHONDONTWRITEBYTECODE": "1"},
        umask=umask,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def verdicts(folder: Path) -> list[dict[str, Any]]:
    """All that was judged, by files and flags that do not name the place."""
    found = json.loads((folder / "build" / "results.json").read_text(encoding="utf-8"))
    assert len(found["results"]) == 2 * 2 * len(NAMES)
    ports = [{**info, "build": len(info["build"])} for info in found["ports"]]
    return [*found["results"], *found["cases"], *ports, *found["capabilities"]]


def test_golden_bytes_and_verdicts_are_the_same_everywhere(tmp_path: Path) -> None:
    golden: list[dict[str, bytes]] = []
    judged = []
    for name, env, umask in ELSEWHERE:
        clone = copied(tmp_path / name, NAMES, "ports/c", "ports/numpy", "Makefile")
        words = ("conformance", "check", "c", "numpy", "--seed", "none", "--no-timing")
        run(clone, env, umask, "reference", "golden", "conformance/suite/cases")
        run(clone, env, umask, *words)
        made = sorted((clone / "conformance" / "suite" / "golden").iterdir())
        golden.append({path.name: path.read_bytes() for path in made})
        judged.append(verdicts(clone))
        assert {path.stat().st_mode & 0o777 for path in made} == {0o644}
    assert set(golden[0]) == {f"{name}.json" for name in NAMES} | {checksums.MANIFEST}
    assert golden[1] == golden[0]
    assert golden[2] == golden[0]
    assert judged[1] == judged[0]
    assert judged[2] == judged[0]
    for name in NAMES:
        committed = json.loads((CASES.parent / "golden" / f"{name}.json").read_text())
        derived = json.loads(golden[0][f"{name}.json"])
        for part in ("float64", "float32"):
            assert derived[part]["radius"] == committed[part]["radius"]
