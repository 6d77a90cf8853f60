"""Golden files: derived again they are the same, and damage is found."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reference.cases.case import load
from reference.command_line import _pairs
from reference.files import write_atomically
from reference.golden import checksums, derive

ROOT = Path(__file__).parents[4]
CASES = ROOT / "conformance" / "suite" / "cases"
GOLDEN = ROOT / "conformance" / "suite" / "golden"
SMALL = CASES / "one-step.toml"


def committed(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def golden_file(path: Path) -> dict[str, Any]:
    case = load(path)
    return derive.assemble(case, {dtype: derive.derive(case, dtype) for dtype in derive.DTYPES})


def test_every_case_has_a_golden_file_and_a_purpose() -> None:
    cases = sorted(CASES.glob("*.toml"))
    assert {p.stem for p in cases} == {p.stem for p in GOLDEN.glob("*.json")}
    for path in cases:
        case = load(path)
        assert case.id == path.stem
        assert committed(case.id)["made_from"]["case_sha256"] == case.sha256
        assert case.file is not None
        assert case.file.purpose.endswith(".")


def test_golden_errors_are_the_articles_digits() -> None:
    # Printed in the article; see test_article.py.
    printed = {
        0: "0.496410031903",
        10_000: "0.00858452565325",
        20_000: "0.00578945986251",
        30_000: "0.00462917677677",
        40_000: "0.00395876528027",
        50_000: "0.00351012256786",
    }
    found = {
        entry["iteration"]: f"{entry['tensors'][-1]['value']:.12g}"
        for entry in committed("three-layer")["float64"]["checkpoints"]
    }
    assert {n: found[n] for n in printed} == printed


@pytest.mark.parametrize(("network", "alone"), [(0, "three-layer"), (1, "seed-2")])
def test_a_network_of_the_ensemble_is_as_if_it_were_alone(network: int, alone: str) -> None:
    for dtype in derive.DTYPES:
        single = {e["iteration"]: e["tensors"] for e in committed(alone)[dtype]["checkpoints"]}
        shared = 0
        for entry in committed("ensemble-thousand")[dtype]["checkpoints"]:
            if entry["iteration"] in single:
                found = [t["value"][network] for t in entry["tensors"]]
                assert found == [t["value"] for t in single[entry["iteration"]]]
                shared += entry["iteration"] > 0
        assert shared > 1


def test_radius_is_far_below_a_rounding() -> None:
    for path in GOLDEN.glob("*.json"):
        file = json.loads(path.read_text())
        for dtype in derive.DTYPES:
            assert 0 <= file[dtype]["radius"] < 1e-20
            # relu alone makes sums and products only, which are exact.
            assert (file[dtype]["radius"] == 0) == (path.stem == "relu-output-zero")


def test_deriving_again_gives_the_same_bytes() -> None:
    assert derive.values_only(golden_file(SMALL)) == derive.values_only(committed("one-step"))


def test_exact_values_by_hand() -> None:
    """The one-step case with the formulas written out, in Python's own floats."""
    from math import exp

    first = committed("one-step")["float64"]["steps"][0]["tensors"]
    tensors = {t["name"]: np.array(t["value"]) for t in first}
    # Sample [1, 0]: the sums into the hidden units are the first row of syn0.
    h0, h1 = 1 / (1 + exp(-0.5)), 1 / (1 + exp(0.25))
    out = 1 / (1 + exp(-(h0 * 1.0 + h1 * -0.5)))
    delta = (1 - out) * out * (1 - out)
    assert tensors["l1"][0] == pytest.approx([h0, h1], rel=1e-15)
    assert tensors["l2"][0] == pytest.approx([out], rel=1e-15)
    assert tensors["l2_delta"][0] == pytest.approx([delta], rel=1e-14)
    assert tensors["l1_error"][0] == pytest.approx([delta * 1.0, delta * -0.5], rel=1e-14)
    hidden = [delta * h0 * (1 - h0), delta * -0.5 * h1 * (1 - h1)]
    assert tensors["l1_delta"][0] == pytest.approx(hidden, rel=1e-14)


def test_unseen_replicas_stay_below_half_the_tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derive, "SEED", derive.SEED + 1)
    for name in ("one-step", "saturated", "two-layer"):
        compared = 0
        for _, before, after in _pairs(committed(name), golden_file(CASES / f"{name}.toml")):
            assert after["noise"] <= before["tolerance"] / 2
            compared += 1
        assert compared > 20


def tamper_value(file: dict[str, Any]) -> None:
    weights = file["float64"]["checkpoints"][1]["tensors"][0]["value"]
    weights[0][0] = float(np.nextafter(weights[0][0], 1))


def loosen_tolerance(file: dict[str, Any]) -> None:
    file["float32"]["steps"][0]["tensors"][0]["tolerance"] *= 2


def tighten_tolerance(file: dict[str, Any]) -> None:
    file["float32"]["steps"][0]["tensors"][0]["tolerance"] /= 2


def tamper_noise(file: dict[str, Any]) -> None:
    tensor = file["float64"]["steps"][0]["tensors"][0]
    tensor["noise"] *= 100
    tensor["tolerance"] *= 100


def tamper_factor(file: dict[str, Any]) -> None:
    file["made_from"]["factor"] = 1000


def break_file(file: dict[str, Any]) -> None:
    del file["float32"]


def tamper_hash(file: dict[str, Any]) -> None:
    file["made_from"]["case_sha256"] = "0" * 64


@pytest.mark.parametrize(
    ("tamper", "word"),
    [
        (tamper_value, "other values"),
        (tamper_hash, "other values"),
        (loosen_tolerance, "the tolerance is not 16 times the noise"),
        (tighten_tolerance, "the tolerance is not 16 times the noise"),
        (tamper_noise, "in a fresh derivation"),
        (tamper_factor, "made with another factor"),
        (break_file, "is not a golden file"),
    ],
)
def test_check_finds_one_changed_number(
    tamper: Callable[[dict[str, Any]], None], word: str, tmp_path: Path
) -> None:
    cases = tmp_path / "cases"
    cases.mkdir()
    (cases / "one-step.toml").write_bytes(SMALL.read_bytes())
    file = committed("one-step")
    path = tmp_path / "golden" / "one-step.json"

    def check() -> subprocess.CompletedProcess[str]:
        derive.write(path, file)
        checksums.record(path.parent, [path])
        command = [sys.executable, "-m", "reference", "golden", "--check", str(cases)]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)

    assert check().returncode == 0
    tamper(file)
    done = check()
    assert done.returncode == 1
    assert word in done.stdout


def test_golden_files_have_their_checksums_as_sha256sum_reads_them(tmp_path: Path) -> None:
    command = ["sha256sum", "--check", "--strict", "--quiet", checksums.MANIFEST]
    assert subprocess.run(command, cwd=GOLDEN).returncode == 0
    listed = {line.split()[1] for line in (GOLDEN / checksums.MANIFEST).read_text().splitlines()}
    assert listed == {path.name for path in GOLDEN.glob("*.json")}
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    checksums.record(tmp_path, [tmp_path / "a", tmp_path / "b"])
    (tmp_path / "b").write_text("edited")
    # A run that writes another file does not vouch for what it did not write.
    checksums.record(tmp_path, [tmp_path / "c"])
    assert checksums.problem(tmp_path / "a") is checksums.problem(tmp_path / "c") is None
    assert checksums.problem(tmp_path / "b") == "is not the file that SHA256SUMS has"
    (tmp_path / "b").unlink()
    checksums.record(tmp_path, [])
    (tmp_path / "b").write_text("b")
    assert checksums.problem(tmp_path / "b") == "is not in SHA256SUMS beside it"


def test_a_checksum_belongs_to_a_name_with_any_spaces(tmp_path: Path) -> None:
    for name in ("two  spaces", "three   spaces  twice"):
        (tmp_path / name).write_text(name)
        checksums.record(tmp_path, [tmp_path / name])
        assert checksums.problem(tmp_path / name) is None


def test_check_finds_an_edit_that_changes_no_value(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "one-step.toml").write_bytes(SMALL.read_bytes())
    path = tmp_path / "golden" / "one-step.json"
    derive.write(path, committed("one-step"))
    checksums.record(path.parent, [path])
    path.write_text(path.read_text().replace('"numpy": "', '"numpy": "9'))
    command = [sys.executable, "-m", "reference", "golden", "--check", str(tmp_path / "cases")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert "is not the file that SHA256SUMS has: run make golden" in done.stdout


def test_check_finds_a_missing_and_a_stray_file(tmp_path: Path) -> None:
    cases = tmp_path / "cases"
    cases.mkdir()
    (cases / "one-step.toml").write_bytes(SMALL.read_bytes())
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "gone.json").write_text("{}")
    command = [sys.executable, "-m", "reference", "golden", "--check", str(cases)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert "one-step.json is missing" in done.stdout
    assert "no case for golden files of gone" in done.stdout


def test_a_value_half_way_between_two_doubles_is_one_short_sentence(tmp_path: Path) -> None:
    """The output is s - s + 1/2 + 2^-54, whose two s no precision makes equal."""
    text = (CASES / "smallest.toml").read_text()
    for old, new in (
        ("[[[0.5]]]", f"[[[0.3, 0.3, 0.0, 0.0]], [[1.0], [-1.0], [1.0], [{2**-53}]]]"),
        ("layers = [1, 1]", 'layers = [1, 4, 1]\noutput = "relu"'),
        ('["layers"]', '["relu"]'),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "smallest.toml").write_text(text)
    command = [sys.executable, "-m", "reference", "golden", str(tmp_path / "cases")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    said = done.stderr.splitlines()[-1].removeprefix("error: ")
    assert said.startswith(f"{tmp_path / 'cases' / 'smallest.toml'}: cannot be certified: [")
    assert said.endswith("has no nearest double: change a weight, an input or a setting a little")
    assert len(said) < 250
    assert not list((tmp_path / "golden").glob("*"))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text("old")

    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "half \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
