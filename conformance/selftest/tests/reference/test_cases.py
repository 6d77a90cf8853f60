"""Every mistake in a case file is one sentence with file and key, and exit status 2."""

import csv
import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest

from reference.algorithm import network
from reference.algorithm.layers import HIDDEN
from reference.arithmetic.float import FLOAT
from reference.cases.case import Case, CaseError, load, load_all
from reference.golden import derive
from reference.golden.checks import RunCheck, StepCheck
from reference.golden.tensors import Tensors

ROOT = Path(__file__).parents[4]
CASES = ROOT / "conformance" / "suite" / "cases"

GOOD = """
format = 1
id = "small"
title = "t"
purpose = "p"
[network]
layers = [2, 2, 1]
[training]
iterations = 10
[init]
numpy_seed = 1
[data]
X = [[0, 1], [1, 0]]
y = [[1], [0]]
[trace]
checkpoints = [0, 10]
"""

# What is replaced, by what, and what the message must say.
# As pydantic lists them.
KNOWN = ", ".join(map(repr, HIDDEN[:-1])) + f" or {HIDDEN[-1]!r}"
MISTAKES = [
    ("[network]", "colour = 3\n[network]", "unknown key 'colour'"),
    ("numpy_seed = 1", "numpy_seed = 1\nseed = 1", "unknown key 'init.seed'"),
    ('title = "t"', "", "missing key 'title'"),
    ("iterations = 10", "", "missing key 'training.iterations'"),
    ("iterations = 10", "iterations = 0", "training.iterations"),
    ("iterations = 10", "iterations = 2.5", "training.iterations"),
    ("iterations = 10", "iterations = true", "training.iterations"),
    ("iterations = 10", "iterations = 10\nalpha = inf", "training.alpha"),
    ("iterations = 10", "iterations = 10\nalpha = -1.0", "training.alpha"),
    ("iterations = 10", "iterations = 10\nalpha = 0.5", "needs must list 'alpha'"),
    ('purpose = "p"', 'purpose = "p"\nneeds = ["alpha"]', "needs lists 'alpha'"),
    ('purpose = "p"', 'purpose = "p"\nneeds = ["teleport"]', "needs[0]"),
    ("format = 1", "format = 2", "format"),
    ('id = "small"', 'id = "../x"', "id: "),
    ("[2, 2, 1]", "[2]", "network.layers"),
    ("[2, 2, 1]", "[2, 0, 1]", "network.layers[1]"),
    ("[2, 2, 1]", "[3, 2, 1]", "data.X[0] has 2 numbers, but 3 are needed"),
    ("[2, 2, 1]", "[2, 2, 2]", "data.y[0] has 1 numbers, but 2 are needed"),
    ("y = [[1], [0]]", "y = [[1]]", "data.y has 1 rows, but 2 are needed"),
    ("y = [[1], [0]]", "", "data.y is missing"),
    ("[1, 0]]", "[1, nan]]", "data.X[1][1]"),
    ("[1, 0]]", "[1, 1e999]]", "data.X[1][1]"),
    ("[1, 0]]", '[1, "0"]]', "data.X[1][1]"),
    ("numpy_seed = 1", "", "init needs either"),
    ("numpy_seed = 1", "weights = [[[1.0], [1.0]]]", "init.weights has 1 matrices"),
    (
        "numpy_seed = 1",
        "weights = [[[1.0, 2.0]], [[1.0], [1.0]]]",
        "init.weights[0] has 1 rows, but 2 are needed",
    ),
    ("[0, 10]", "[0, 11]", "trace.checkpoints has 11, beyond training.iterations = 10"),
    ("[0, 10]", "[10, 0]", "trace.checkpoints must rise"),
    ("[0, 10]", "[0, 10]\nsteps = [5]", "trace.steps has 5, which is not in trace.checkpoints"),
    ("[0, 10]", "[0, 10]\n[timing]\niterations = [5, 10]", "timing.iterations has 5"),
    ("X = [[0, 1], [1, 0]]", "X = [[0, 1], [1, 0]]\nfile = 'a.csv'", "either data.file or"),
    ("X = [[0, 1], [1, 0]]\ny = [[1], [0]]", "file = 'a.csv'", "'a.csv' cannot be read"),
    ("[0, 10]", "[0, 10]\n[timing]\niterations = [10, 10]", "timing.iterations must rise"),
    ("iterations = 10", "iterations = 10\nshuffle = true", "shuffle needs training.batch_size"),
    (
        "iterations = 10",
        "iterations = 10\nadam = true",
        "training.adam and training.beta1 go together",
    ),
    ("iterations = 10", "iterations = 10\nbeta2 = 0.9", "training.adam and training.beta2 go"),
    ("iterations = 10", "iterations = 10\ndropout = 1.0", "training.dropout"),
    ("iterations = 10", "iterations = 10\nphilox_seed = 1", "philox_seed needs"),
    ("iterations = 10", "iterations = 10\ndropout = 0.5", "needs must list 'dropout'"),
    ("[2, 2, 1]", "[2, 2, 1]\nbatch_norm = true", "batch_norm and network.norm_epsilon go"),
    (
        "[2, 2, 1]",
        '[2, 2, 1]\nactivation = "softmax"',
        f"network.activation: input should be {KNOWN} (found 'softmax')",
    ),
    ("iterations = 10", "iterations = 10\nbias = true", "unknown key 'training.bias'"),
    ("iterations = 10", "iterations = 10\nl1 = -1", "training.l1: input should be greater than or"),
    (
        "iterations = 10",
        "iterations = 10\nl2 = nan",
        "training.l2: input should be a finite number",
    ),
    ("iterations = 10", "iterations = 10\nbatch_size = 1.5", "training.batch_size"),
    ("numpy_seed = 1", "numpy_seed = 1\ndrawn_by_port = [-1]", "init.drawn_by_port[0]"),
    ("numpy_seed = 1", "numpy_seed = 1\ndrawn_by_port = [1]", "needs must list 'numpy-seed'"),
    (
        "[0, 10]",
        "[0, 10]\n[predict]\nX = [[1]]\ncheckpoints = [0]",
        "predict.X[0] has 1 numbers, but 2 are needed",
    ),
    (
        "[0, 10]",
        "[0, 10]\n[predict]\nX = [[1, 2]]\ncheckpoints = [5]",
        "predict.checkpoints has 5, which is not in trace.checkpoints",
    ),
    ("[0, 10]", "[0, 10]\n[accuracy]\nat_least = 0.9", "accuracy.at_least and data.held_out go"),
    ("[2, 2, 1]", "[2, 65536, 65536, 1]", "4295163904 weights, and 10000000 is the limit"),
    ("[1, 0]]", "[1, 1e39]]", "too large for float32"),
    ("numpy_seed = 1", "networks = 2", "init.networks needs init.numpy_seed"),
    ("numpy_seed = 1", "numpy_seed = 1\nnetworks = 1", "init.networks"),
    ("numpy_seed = 1", "numpy_seed = 4294967295\nnetworks = 2", "seeds beyond 2^32 - 1"),
    ("numpy_seed = 1", "numpy_seed = 1\nnetworks = 2", "trace.steps must be []"),
    (
        "numpy_seed = 1",
        "numpy_seed = 1\nnetworks = 2\ndrawn_by_port = [1]",
        "init.drawn_by_port is of one network: leave init.networks out",
    ),
    ("format = 1", "format = ", "is not TOML"),
    ("format = 1", "x = " + "[" * 5000, "small.toml: "),
]


def train(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reference", "train", str(path), *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(GOOD)
    return path


def test_the_case_without_mistakes_is_fine(small: Path) -> None:
    assert load(small).layers == [2, 2, 1]


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES)
def test_a_mistake_is_one_sentence(small: Path, old: str, new: str, message: str) -> None:
    assert GOOD.count(old) == 1
    small.write_text(GOOD.replace(old, new))
    with pytest.raises(CaseError) as caught:
        load(small)
    said = str(caught.value)
    assert said.startswith(f"{small}: ")
    assert message in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x,y,label\n1,2,0\n", None),
        ("x,y,label\n1,2\n", "has 2 columns"),
        ("x,y,label\n", "has no rows"),
        ("", "has no rows"),
        pytest.param("x,y,label\n" + "1,2,0\n" * 3_000_000, "is larger than 16 MiB", id="large"),
        ("x,y,label\n1,2,7\n", "label that is not a whole number from 0 to 0"),
        ("x,y,label\n1,nan,0\n", "not finite"),
        ("x,y,label\n1,two,0\n", "is not a table of numbers"),
    ],
)
def test_data_files_are_checked(small: Path, content: str, message: str | None) -> None:
    (small.parent / "a.csv").write_text(content)
    small.write_text(GOOD.replace("X = [[0, 1], [1, 0]]\ny = [[1], [0]]", 'file = "a.csv"'))
    if message is None:
        X, y, _ = load(small).arrays("float64")
        assert X.tolist() == [[1, 2]]
        assert y.tolist() == [[1]]
        return
    with pytest.raises(CaseError, match=r"data\.file") as caught:
        load(small)
    assert message in str(caught.value)


def test_more_is_held_out_than_there_is(small: Path) -> None:
    (small.parent / "a.csv").write_text("x,y,label\n1,2,0\n3,4,0\n")
    text = GOOD.replace('purpose = "p"', 'purpose = "p"\nneeds = ["predict"]')
    for every, fine in ((2, True), (3, False)):
        data = f'file = "a.csv"\nheld_out = {every}\n[accuracy]\nat_least = 0.5'
        small.write_text(text.replace("X = [[0, 1], [1, 0]]\ny = [[1], [0]]", data))
        if fine:
            case = load(small)
            assert case.arrays("float64")[0].tolist() == [[1, 2]]
            assert case.held_out("float64")[0].tolist() == [[3, 4]]
        else:
            with pytest.raises(CaseError, match=r"held_out is 3, but there are only 2 rows"):
                load(small)


def test_the_command_ends_with_2_and_no_traceback(small: Path) -> None:
    small.write_text(GOOD.replace("numpy_seed = 1", "numpy_seed = -1"))
    for path in (small, small.parent / "absent.toml", small.parent):
        done = train(path)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert len(done.stderr.splitlines()) == 1
        assert done.stdout == ""


def test_folders_of_cases(small: Path, tmp_path: Path) -> None:
    assert [case.id for case in load_all(tmp_path)] == ["small"]
    (tmp_path / "twin.toml").write_text(GOOD)
    with pytest.raises(CaseError, match="is taken by"):
        load_all(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CaseError, match="no cases found"):
        load_all(empty)
    with pytest.raises(CaseError, match="no such folder"):
        load_all(tmp_path / "absent")


@pytest.mark.parametrize("arithmetic", ["float64", "float32", "ball"])
def test_train_prints_json_and_nothing_else(small: Path, arithmetic: str) -> None:
    done = train(small, "--arithmetic", arithmetic, "--json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert list(report) == ["case", "arithmetic", "checkpoints"]
    assert report["arithmetic"] == arithmetic
    assert [c["iteration"] for c in report["checkpoints"]] == [0, 10]
    shapes = [np.shape(w) for w in report["checkpoints"][1]["weights"]]
    assert shapes == [(2, 2), (2, 1)]
    initial = load(small).arrays("float32" if arithmetic == "float32" else "float64")[2]
    assert report["checkpoints"][0]["weights"] == [w.tolist() for w in initial]


def step_values(case: Case) -> list[tuple[int, Tensors]]:
    """The single steps of a case, from states that the reference computes."""
    [run] = RunCheck.all_of(case, "float64", lambda _: [])
    states = {n: [v for _, v in found[:-1]] for n, found in run.computed(network, FLOAT)}
    steps = StepCheck.all_of(case, "float64", states.__getitem__)
    return [point for step in steps for point in step.computed(network, FLOAT)]


def test_a_step_from_the_first_checkpoint_is_the_default(small: Path) -> None:
    small.write_text(GOOD.replace("[0, 10]", "[5, 10]"))
    assert load(small).trace.steps == [5]


def test_a_step_beyond_the_run_starts_from_the_last_checkpoint(small: Path) -> None:
    """Its number counts all the same: 70,000 and 70,001 are different batches of two."""
    text = GOOD.replace('purpose = "p"', 'purpose = "p"\nneeds = ["mini-batch"]')
    text = text.replace("iterations = 10", "iterations = 10\nbatch_size = 1")
    small.write_text(text.replace("[0, 10]", "[0, 10]\nsteps = [10, 70000, 70001]"))
    found = {n: dict(s) for n, s in step_values(load(small))}
    last, even, odd = (found[n]["syn0"] for n in (10, 70000, 70001))
    assert (last == even).all()
    assert (last != odd).any()


def test_a_reader_that_stops_early_is_no_error(small: Path) -> None:
    command = f"{sys.executable} -m reference train {CASES / 'one-step.toml'} | head -n 0"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT)
    assert done.stderr == ""


def test_a_case_beyond_a_dtype_is_one_sentence(small: Path) -> None:
    small.write_text(GOOD.replace("y = [[1], [0]]", "y = [[1e30], [-1e30]]"))
    case = load(small)
    with pytest.raises(CaseError, match=r"too large to be computed in float32|cannot be certified"):
        derive.derive(case, "float32")


def test_train_prints_errors_for_people(small: Path) -> None:
    lines = train(small).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["0", "10"]
    assert float(lines[1].split()[1]) < float(lines[0].split()[1])


def test_an_alpha_that_float32_cannot_hold_is_refused(small: Path) -> None:
    with_alpha = GOOD.replace("iterations = 10", "iterations = 10\nalpha = 1e-46")
    small.write_text(with_alpha.replace('purpose = "p"', 'purpose = "p"\nneeds = ["alpha"]'))
    with pytest.raises(CaseError, match="alpha is 1e-46, which float32 cannot hold"):
        load(small)


def test_inputs_are_rounded_to_the_dtype(small: Path) -> None:
    small.write_text(
        GOOD.replace("iterations = 10", "iterations = 10\nalpha = 0.1").replace(
            'purpose = "p"', 'purpose = "p"\nneeds = ["alpha"]'
        )
    )
    case = load(small)
    assert case.settings_for("float64") == {"alpha": 0.1}
    assert case.settings_for("float32") == {"alpha": float(np.float32(0.1))}
    X, y, syn = case.arrays("float32")
    assert {a.dtype.name for a in (X, y, *syn)} == {"float32"}


def test_a_case_can_be_arrays_without_a_file(small: Path) -> None:
    of_file = load(small)
    case = replace(of_file, weights=[2 * w for w in of_file.weights], file=None)
    assert (case.arrays("float64")[2][0] == 2 * of_file.arrays("float64")[2][0]).all()
    assert case.settings_for("float64") == of_file.settings_for("float64")
    assert of_file.path == small
    with pytest.raises(AssertionError, match="small was not read from a file"):
        _ = case.path
    with pytest.raises(FrozenInstanceError):
        case.file = of_file.file  # type: ignore[misc]


def test_digits_are_those_that_scikit_learn_ships() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    with (CASES / "data" / "digits.csv").open() as file:
        rows = [[int(cell) for cell in row] for row in list(csv.reader(file))[1:]]
    assert np.array_equal([row[:-1] for row in rows], digits.data)
    assert np.array_equal([row[-1] for row in rows], digits.target)


def test_seeded_weights_are_the_articles() -> None:
    _, _, syn = load(CASES / "three-layer.toml").arrays("float64")
    np.random.seed(1)
    assert (syn[0] == 2 * np.random.random((3, 4)) - 1).all()
    assert (syn[1] == 2 * np.random.random((4, 1)) - 1).all()
