"""What a golden file says and how it is written, and which cases cannot have one."""

import hashlib
import json
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from conformance.selftest.tests.conftest import CASES, ROOT
from reference.cases.case import Case, CaseError, load
from reference.golden import derive

GOLDEN = CASES.parent / "golden"
ONE_STEP = load(CASES / "one-step.toml")


@cache
def derived(name: str) -> dict[str, Any]:
    case = load(CASES / f"{name}.toml")
    return derive.assemble(case, {dtype: derive.derive(case, dtype) for dtype in derive.DTYPES})


@pytest.mark.parametrize("name", ["one-step", "predict-small", "ensemble-two", "smallest"])
def test_a_golden_file_is_written_as_it_was(name: str) -> None:
    text = (GOLDEN / f"{name}.json").read_text()
    assert derive.rendered(json.loads(text)) == text


def test_each_tensor_is_on_a_line() -> None:
    tensor = '{"name": "l1", "value": [1.0, 2.0]}'
    lines = ["{", ' "steps": [', f"  {tensor},", f"  {tensor}", " ],", ' "none": []', "}", ""]
    entries = [json.loads(tensor)] * 2
    assert derive.rendered({"steps": entries, "none": []}) == "\n".join(lines)
    with pytest.raises(ValueError, match="JSON"):
        derive.rendered({"radius": float("inf")})


def test_a_golden_file_says_what_it_was_made_from() -> None:
    """The files that are there have the numbers of replicas, the factor and the seed from here."""
    found = derived("one-step")
    committed = json.loads((GOLDEN / "one-step.json").read_text())
    assert [*found] == [*committed] == ["format", "case", "made_from", "float64", "float32"]
    assert (found["format"], found["case"]) == (1, "one-step")
    assert found["made_from"] == {
        "case_sha256": hashlib.sha256(ONE_STEP.path.read_bytes()).hexdigest(),
        "source_sha256": derive.source_sha256(),
        "python_flint": version("python-flint"),
        "numpy": version("numpy"),
        **{key: committed["made_from"][key] for key in ("replicas", "factor", "seed")},
    }
    for dtype in derive.DTYPES:
        assert [*found[dtype]] == [*committed[dtype]]
        for key in ("precision_bits", "radius", "correct"):
            assert found[dtype][key] == committed[dtype][key]
        # Balls are the same on all machines.
        assert 0 < found[dtype]["radius"] < 1e-20


def test_the_values_are_those_of_the_golden_file() -> None:
    for name in ("one-step", "predict-smallest"):
        committed = json.loads((GOLDEN / f"{name}.json").read_text())
        assert derive.values_only(derived(name)) == derive.values_only(committed)


def in_step(dtype: str, **fields: Any) -> Callable[[Any], None]:
    return lambda file: file[dtype]["steps"][0]["tensors"][0].update(fields)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (in_step("float64", noise=1.0, tolerance=16.0), True),
        (lambda file: file["float32"].update(precision_bits=1, radius=1.0), True),
        (lambda file: file["made_from"].update(numpy="0", source_sha256="0"), True),
        (in_step("float64", value=[[1.0]]), False),
        (in_step("float32", value=[[1.0]]), False),
        (in_step("float32", name="l9"), False),
        (lambda file: file["float32"].update(correct=3), False),
        (lambda file: file["float64"]["checkpoints"][1].update(iteration=9), False),
        (lambda file: file["float64"]["predictions"].append(file["float64"]["steps"][0]), False),
        (lambda file: file.update(case="other"), False),
        (lambda file: file["made_from"].update(case_sha256="0"), False),
    ],
)
def test_values_are_what_is_the_same_on_every_machine(
    change: Callable[[Any], None], same: bool
) -> None:
    file = json.loads((GOLDEN / "one-step.json").read_text())
    before = derive.values_only(file)
    change(file)
    assert (derive.values_only(file) == before) == same


def test_the_source_is_all_that_golden_data_depend_on() -> None:
    folder = ROOT / "reference"
    paths = [folder / "array.py"]
    for name in ("algorithm", "arithmetic", "cases", "golden"):
        paths += sorted((folder / name).glob("*.py"))
    whole = b"".join(path.read_bytes() for path in paths)
    assert derive.source_sha256() == hashlib.sha256(whole).hexdigest()


def changed(folder: Path, *changes: tuple[str, str]) -> Case:
    """The smallest case, 1-1, with these changes."""
    text = (CASES / "smallest.toml").read_text()
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "smallest.toml").write_text(text)
    return load(folder / "smallest.toml")


# With the first, weights leave the range. With the second, a trimmed delta keeps them in it.
@pytest.mark.parametrize(
    ("needs", "training"), [("", ""), (', "delta-trimming"', "trim_value = 1")]
)
def test_numbers_that_overflow_in_a_dtype_are_refused(
    needs: str, training: str, tmp_path: Path
) -> None:
    """2^100 times 2^100 is beyond float32, and far below the end of float64.

    The other weight stays what it is, since its input is 0.
    """
    case = changed(
        tmp_path,
        ("[[[0.5]]]", f"[[[{2.0**100!r}], [0.5]]]"),
        ("X = [[0.75]]", f"X = [[{2.0**100!r}, 0]]"),
        ("layers = [1, 1]", 'layers = [2, 1]\noutput = "relu"'),
        ('["layers"]', f'["layers", "relu"{needs}]'),
        ("iterations = 2", f"iterations = 2\n{training}"),
    )
    assert derive.derive(case, "float64")["correct"] is None
    with pytest.raises(CaseError) as caught:
        derive.derive(case, "float32")
    said = f"{case.path}: its numbers are too large to be computed in float32"
    assert str(caught.value) == said


def test_what_no_precision_settles_is_refused(tmp_path: Path) -> None:
    """The output is s - s + 1/2 + 2^-54, whose two s no precision makes equal."""
    weights = f"[[[0.3, 0.3, 0.0, 0.0]], [[1.0], [-1.0], [1.0], [{2**-53}]]]"
    layers = ("layers = [1, 1]", 'layers = [1, 4, 1]\noutput = "relu"')
    case = changed(tmp_path, ("[[[0.5]]]", weights), layers, ('["layers"]', '["relu"]'))
    with pytest.raises(CaseError) as caught:
        derive.derive(case, "float64")
    assert str(caught.value).startswith(f"{case.path}: cannot be certified: [")
    assert str(caught.value).endswith(": change a weight, an input or a setting a little")


def test_a_golden_file_is_written_whole(tmp_path: Path) -> None:
    derive.write(tmp_path / "golden" / "file.json", {"case": "one"})
    assert (tmp_path / "golden" / "file.json").read_text() == '{\n "case": "one"\n}\n'
