"""Results for the tests of the report: of a real run with a failure, and its page."""

import subprocess
from pathlib import Path

from conformance.record.models import Results
from conformance.selftest import warm
from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import PYTHON_MANIFEST, PYTHON_MODULE
from conformance.selftest.tests.test_curves import CPU, GPU

# A well-known bug: syn1 is new when l1_error is computed.
WRONG = PYTHON_MODULE.replace("SABOTAGE", "pass").replace(
    "l1_error = l2_delta @ state[1].mT",
    "l1_error = l2_delta @ (state[1] + alpha * l1.mT @ l2_delta).mT",
)


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m conformance` with these words."""
    return warm.run([*words], patience(900))


def judged(folder: Path) -> Path:
    """Results of a right port with a rung, a wrong one, and one that may lack its device."""
    wrong = folder / "wrong"
    wrong.mkdir()
    (wrong / "port.py").write_text(WRONG)
    (wrong / "port.toml").write_text(PYTHON_MANIFEST.replace("CAPABILITIES", '["alpha"]'))
    file = folder / "results.json"
    words: list[str | Path] = ["c", "c:simd", "cuda", wrong, "--cases", "three-layer"]
    done = command("check", *words, "--results", file, "--junit", folder / "junit.xml")
    assert done.returncode == 1, done.stdout + done.stderr
    return file


def reported(results: Path, folder: Path) -> Path:
    """The report on these results, and on bench files of a processor and a GPU.

    It is made in a folder with the badge of a port that is gone.
    """
    (folder / "badges").mkdir()
    (folder / "badges" / "gone.svg").write_text("<svg/>")
    benches = []
    for name, bench in (("cpu", CPU), ("gpu", GPU)):
        benches.append(results.parent / f"{name}.json")
        benches[-1].write_text(bench.model_dump_json())
    done = command("report", results, "--folder", folder, "--bench", *benches)
    assert done.returncode == 0, done.stderr
    return folder


def read(file: Path) -> Results:
    """A results file."""
    return Results.model_validate_json(file.read_bytes())
