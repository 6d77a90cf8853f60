"""What a client asks of a port, and what it takes for an answer: in JSON, and in files."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from conformance.ground.statuses import Status
from conformance.process.channel import Channel, Trouble
from conformance.selftest.tests.conftest import CASES
from conformance.wire.bulk import BulkClient
from conformance.wire.client import HELLO_S, Client
from conformance.wire.requests import Failure, Unsupported
from reference.array import Array
from reference.cases.case import Case, load
from reference.golden.checks import RunCheck, StepCheck
from reference.golden.start import LARGE, Start

ONE_STEP, SMALLEST, ENSEMBLE = (
    load(CASES / f"{name}.toml") for name in ("one-step", "smallest", "ensemble-two")
)
LIMIT_S = 7.5


@dataclass
class Recorded:
    """Stands in for a channel: keeps each request, and answers what `answer` returns for it."""

    answer: Callable[[dict[str, Any]], bytes]
    asked: list[tuple[dict[str, Any], float, int, float | None]] = field(default_factory=list)

    def ask(
        self, request: bytes, limit_s: float, max_bytes: int, idle_s: float | None = None
    ) -> bytes:
        """See Channel.ask."""
        assert request.endswith(b"\n")
        assert request.count(b"\n") == 1
        self.asked.append((json.loads(request), limit_s, max_bytes, idle_s))
        return self.answer(self.asked[-1][0])


def giving(*answers: dict[str, Any] | bytes) -> Recorded:
    """A channel that gives these answers, with the id of the request where they have none."""
    left = iter(answers)

    def answer(request: dict[str, Any]) -> bytes:
        given = next(left)
        return (
            given
            if isinstance(given, bytes)
            else json.dumps({"id": request["id"]} | given).encode()
        )

    return Recorded(answer)


def client(*answers: dict[str, Any] | bytes) -> Client:
    return Client(giving(*answers), LIMIT_S)


GREETING = {"format": 1, "device": "a card"}


def test_a_port_is_greeted_and_its_requests_are_numbered() -> None:
    channel = giving(GREETING, {"byte": 3}, {"seconds": None})
    asking = Client(channel, LIMIT_S)
    assert asking.hello() == "a card"
    asking.fill(3)
    assert asking.device_seconds() is None
    assert asking.asked == {"op": "device_seconds"}
    requests, limits, sizes, idle = zip(*channel.asked, strict=True)
    assert requests == (
        {"id": 0, "op": "hello", "format": 1},
        {"id": 1, "op": "fill", "byte": 3},
        {"id": 2, "op": "device_seconds"},
    )
    assert set(limits) == {LIMIT_S}
    assert len({*sizes}) == 1  # none has numbers
    assert idle == (HELLO_S, None, None)


def test_an_answer_may_be_as_long_as_its_numbers_need() -> None:
    """A double has up to 24 characters, and 25 with a comma; more than that ends somewhere."""
    check = RunCheck(Start(ENSEMBLE, "float64"), ENSEMBLE.trace.checkpoints)
    channel = giving({})
    with pytest.raises(Trouble):
        Client(channel, LIMIT_S).answer_to(check)
    [(_, _, size, _)] = channel.asked
    small = giving({})
    with pytest.raises(Trouble):
        Client(small, LIMIT_S).hello()
    [(_, _, least, _)] = small.asked
    assert 25 * check.numbers < size - least < 250 * check.numbers
    assert 1000 < least < 2**20


def test_a_device_tells_three_times_that_can_be() -> None:
    def told(*seconds: Any) -> list[float] | None:
        return client({"seconds": list(seconds)}).device_seconds()

    assert told(0.5, 1, 1e6) == [0.5, 1.0, 1e6]
    for seconds in ((1, 2, math.nan), (1, math.inf, 2), (1, None, 2), (1e6 + 1, 1, 1), (0, 0, -2e6),
                    (1, 2), ("1", 2, 3)):  # fmt: skip
        with pytest.raises(Trouble, match="device_seconds"):
            told(*seconds)


CHECK = RunCheck(Start(ONE_STEP, "float64"), [0, 1])
RIGHT_WEIGHTS = [[[0.5, 1], [-0.0, 2e-3]], [[1.5], [None]]]
ENTRIES = [{"iteration": n, "error": n / 4, "weights": RIGHT_WEIGHTS} for n in (0, 1)]
RIGHT = {"checkpoints": ENTRIES}


def test_an_answer_becomes_arrays_by_their_names() -> None:
    """null is NaN."""
    found = client(RIGHT).answer_to(CHECK)
    assert [n for n, _ in found] == [0, 1]
    for n, tensors in found:
        by_name = dict(tensors)
        assert [*by_name] == ["syn0", "syn1", "error"]
        assert np.array_equal(by_name["syn0"], [[0.5, 1.0], [0.0, 0.002]])
        assert np.array_equal(by_name["syn1"], [[1.5], [np.nan]], equal_nan=True)
        assert {a.dtype for a in by_name.values()} == {np.dtype(np.float64)}
        assert by_name["error"].shape == ()
        assert by_name["error"] == n / 4


def weights(value: Any) -> dict[str, Any]:
    return {"checkpoints": [ENTRIES[0] | {"weights": [RIGHT_WEIGHTS[0], value]}, ENTRIES[1]]}


@pytest.mark.parametrize(
    ("number", "infinity"),
    [("1" + 309 * "0", math.inf), ("-1" + 309 * "0", -math.inf), (5000 * "9", math.inf),
     ("-" + 5000 * "9", -math.inf)],
)  # fmt: skip
def test_an_integer_beyond_all_doubles_is_infinite(number: str, infinity: float) -> None:
    text = json.dumps({"id": 0} | weights([["NUMBER"], [0]])).replace('"NUMBER"', number)
    (_, tensors), _ = client(text.encode()).answer_to(CHECK)
    assert dict(tensors)["syn1"][0, 0] == infinity


WRONG: list[tuple[dict[str, Any] | bytes, str]] = [
    ({}, 'the answer to "train" has no "checkpoints"; it was {"id": 0}; to decline a request, '
         'answer {"id": 0, "unsupported": "why"}'),
    (RIGHT | {"x": 1}, 'the answer to "train" has an unknown key "x"'),
    (RIGHT | {"id": 1}, "answer has id 1, not 0"),
    (RIGHT | {"id": False}, "answer has id false, not 0"),
    (b"[1]", "answer is not an object with an id: [1]"),
    (b"{}", "answer is not an object with an id: {}"),
    (b"training", "this line on stdout is not JSON: "),
    (b'"\xff"', "this line on stdout is not JSON: "),
    (b"[" * 10**5, "this line on stdout is not JSON: "),
    (b'{"id": 0, x', 'the answer to "train" is not JSON: after 10 characters, it cannot go on'),
    (b' {"id": 0,', 'the answer to "train" is not JSON: after 10 characters, it cannot end there'),
    (b'{"id": 0, "id": 0}', 'a key stands twice in one object: ["id", "id"]'),
    ({"unsupported": 1}, '"unsupported" must be a sentence, not 1'),
    ({"failure": None}, '"failure" must be a sentence, not null'),
    ({"checkpoints": 1}, "checkpoints is not a list: 1"),
    ({"checkpoints": ENTRIES[:1]}, "checkpoints has 1 entry, not 2"),
    ({"checkpoints": [*ENTRIES, 1]}, "checkpoints has 3 entries, not 2"),
    ({"checkpoints": [1, 2]}, "checkpoint 0 is not an object: 1"),
    ({"checkpoints": [{}, {}]}, 'checkpoint 0 has no "iteration"; it was {}'),
    ({"checkpoints": [ENTRIES[0] | {"x": 1}, 1]}, 'checkpoint 0 has an unknown key "x"'),
    ({"checkpoints": [ENTRIES[0], ENTRIES[0]]},
     "an entry has iteration 0 where the checkpoint 1 was asked for"),
    ({"checkpoints": [ENTRIES[0], ENTRIES[1] | {"iteration": True}]},
     "an entry has iteration true where"),
    (weights([[1], [2], [3]]),
     "weights at checkpoint 0[1] is not 2 x 1: dimension 0 has 3 entries"),
    (weights([[1]]), "weights at checkpoint 0[1] is not 2 x 1: dimension 0 has 1 entry"),
    (weights([[1], [2, 3]]), "weights at checkpoint 0[1] is not 2 x 1: dimension 1 has 2 entries"),
    (weights([[1], 2]), "weights at checkpoint 0[1] is not 2 x 1: dimension 1 has 2"),
    (weights([[1], ["2"]]), 'weights at checkpoint 0[1] holds "2", which is not a number'),
    (weights([[1.0], [True]]), "weights at checkpoint 0[1] holds true, which is not a number"),
    (weights([[1.0], [[2.0]]]), "weights at checkpoint 0[1] holds [2.0], which is not a number"),
    (b'{"id": 0, "checkpoints": [0,250]}',
     "checkpoint 0 is not an object: 0; it writes 0,250 with a decimal comma, and JSON has decimal "
     "points: is that the locale?"),
    (b'{"id": 0, "checkpoints": -0,25}', "it writes -0,25 with a decimal comma"),
    (b'{"id": 0, "checkpoints": [1,250.5]}', "checkpoint 0 is not an object: 1"),
    (b'{"id": 0, "checkpoints": [0,5]}', "checkpoint 0 is not an object: 0"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "says"), WRONG, ids=[says[:60] for _, says in WRONG])
def test_what_is_no_answer_is_told_as_what_it_is(answer: dict[str, Any] | bytes, says: str) -> None:
    with pytest.raises(Trouble, match=f"^(.*; )?{re.escape(says)}") as found:
        client(answer).answer_to(CHECK)
    assert found.value.status == Status.GARBAGE
    assert ("decimal comma" in found.value.reason) is ("decimal comma" in says)


@pytest.mark.parametrize(
    ("greeting", "says"),
    [
        (GREETING | {"format": 2}, "speaks format 2 of the protocol, not 1"),
        (GREETING | {"format": True}, "speaks format true of the protocol, not 1"),
        (GREETING | {"device": 5}, "device is 5, not a name"),
    ],
)
def test_a_greeting_is_refused(greeting: dict[str, Any], says: str) -> None:
    with pytest.raises(Trouble, match=says):
        client(greeting).hello()


@pytest.mark.parametrize("kind", [Unsupported, Failure])
def test_a_port_may_decline_or_fail_in_words_fit_to_be_shown(kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"^too\?large$"):
        client({kind.__name__.lower(): "too\x1blarge"}).answer_to(CHECK)
    assert client(GREETING | {"device": "a\x1bcard"}).hello() == "a?card"


def test_what_a_request_needs_is_made_ready_before_a_clock_runs() -> None:
    check = StepCheck(Start(ONE_STEP, "float64"), [0])
    client().prepare(check)
    assert "arrays" in vars(check.start)


class Worker:
    """Answers the bulk form of `train` from the files that it finds, as the worker does."""

    def __init__(self, change: Callable[[Path], None] = lambda _: None) -> None:
        self.change, self.found = change, list[dict[str, Array]]()

    def __call__(self, request: dict[str, Any]) -> bytes:
        """Each network's weights are what it was given plus the iteration."""
        folder = Path(request["bulk"])
        self.found.append({p.stem: np.load(p) for p in folder.glob("*.npy")})
        given = self.found[-1]
        assert not [*(folder / "answer").iterdir()]
        entries = []
        for n in request["checkpoints"]:
            errors = f"error-{n}.npy" if "networks" in request else 0.25
            np.save(folder / "answer" / f"error-{n}.npy", np.array([0.25, n]))
            names = [f"{n}-{k}.npy" for k in range(len(request["layers"]) - 1)]
            for k, name in enumerate(names):
                np.save(folder / "answer" / name, given[f"state-{k}"] + n)
            entries.append({"iteration": n, "error": errors, "weights": names})
        self.change(folder / "answer")
        return json.dumps({"id": request["id"], "checkpoints": entries}).encode()


def bulk(tmp_path: Path, worker: Worker) -> tuple[BulkClient, Recorded]:
    channel = Recorded(worker)
    return BulkClient(cast(Channel, channel), LIMIT_S, tmp_path / "a" / "b"), channel


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize("case", [ENSEMBLE, ONE_STEP])
def test_a_free_run_is_asked_and_answered_in_files(
    case: Case, prepared: bool, tmp_path: Path
) -> None:
    """The error of one network is a number in the answer itself."""
    worker = Worker()
    asking, channel = bulk(tmp_path, worker)
    start = Start(case, "float32")
    check = RunCheck(start, [0, 2])
    if prepared:
        asking.prepare(check)
    for _ in range(2):  # the answers of the first time are gone
        points = asking.answer_to(check)
        assert [n for n, _ in points] == [0, 2]
        for n, tensors in points:
            *state, (_, error) = tensors
            assert np.array_equal(error, [0.25, n] if case is ENSEMBLE else 0.25)
            for (_, got), w in zip(state, start.state, strict=True):
                assert np.array_equal(got, w + n)
    given = {"X": start.X, "y": start.y} | {f"state-{k}": w for k, w in enumerate(start.state)}
    for files in worker.found:
        assert files.keys() == given.keys()
        for name, array in given.items():
            assert files[name].dtype == np.float32
            assert np.array_equal(files[name], array)
    first, limit, *_ = channel.asked[0]
    assert limit == LIMIT_S
    folder = first.pop("bulk")
    assert first == {"id": 0, "op": "train", **start.settings, "checkpoints": [0, 2]}
    for other in (Start(case, "float64"), Start(SMALLEST, "float32")):
        assert asking.request(RunCheck(other, [1]))["bulk"] != folder
    assert Path(folder).is_relative_to(tmp_path / "a" / "b")


def test_what_another_client_wrote_since_is_written_again(tmp_path: Path) -> None:
    """Once a request is made, whoever asks the same next may have files of another state."""
    mine, _ = bulk(tmp_path, worker := Worker())
    other, _ = bulk(tmp_path, Worker())
    start = Start(ONE_STEP, "float64")
    moved = RunCheck(Start(ONE_STEP, "float64", [w + 1 for w in start.state]), [1])
    check = RunCheck(start, [1])
    mine.prepare(check)
    mine.request(check)
    other.request(moved)
    request = mine.request(check)
    worker({"id": 0} | request)
    assert np.array_equal(worker.found[0]["state-0"], start.state[0])


def test_what_is_prepared_is_not_written_again_under_the_clock(tmp_path: Path) -> None:
    asking, _ = bulk(tmp_path, Worker())
    check = RunCheck(Start(ONE_STEP, "float64"), [1])
    asking.prepare(check)
    for path in tmp_path.rglob("*.npy"):
        path.unlink()
    asking.request(check)
    assert not [*tmp_path.rglob("*.npy")]


@pytest.mark.parametrize("large", [False, True])
def test_large_inputs_are_written_once(large: bool, tmp_path: Path) -> None:
    asking, _ = bulk(tmp_path, Worker())
    start = Start(ONE_STEP, "float64")
    if large:
        start.X = np.resize(start.X, (LARGE // 2 + 1, 2))
    asking.prepare(RunCheck(start, [1]))
    [path] = tmp_path.rglob("X.npy")
    np.save(path, np.zeros(3))
    asking.prepare(RunCheck(start, [1]))
    assert (np.load(path).shape == (3,)) is large


def test_all_else_is_asked_in_json(tmp_path: Path) -> None:
    asking, _ = bulk(tmp_path, Worker())
    check = StepCheck(Start(ONE_STEP, "float64"), [0])
    asking.prepare(check)
    assert asking.request(check) == check.request()
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((1, 2)), "is (1, 2) of float64, not (2, 2) of floating point"),
        (np.zeros((2, 2), int), "is (2, 2) of int64, not (2, 2) of floating point"),
        (None, "is no array in a file: "),
        (b"", "is no array in a file: "),
    ],
)
def test_a_file_without_the_array_is_garbage(array: Any, says: str, tmp_path: Path) -> None:
    def change(answers: Path) -> None:
        path = answers / "1-0.npy"
        path.unlink()
        if isinstance(array, bytes):
            path.write_bytes(array)
        elif array is not None:
            np.save(path, array)

    asking, _ = bulk(tmp_path, Worker(change))
    start = Start(ONE_STEP, "float64")
    with pytest.raises(Trouble, match=re.escape(f"weights at checkpoint 1[0] {says}")) as found:
        asking.answer_to(RunCheck(start, [1]))
    assert found.value.status == Status.GARBAGE
