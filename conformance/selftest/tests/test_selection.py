"""What the options of a run choose: cases, random cases, a shard, required targets."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.ground.places import option
from conformance.ground.terminal import OptionError
from conformance.record.models import Fresh
from conformance.selftest.tests.conftest import CASES, MANIFEST, PYTHON_MANIFEST, options_of
from conformance.session import selection
from conformance.suite import fresh
from conformance.targets.manifest import Manifest, Port, PortError
from reference.cases.case import Case, CaseError, load

SUITE = ("one-step", "smallest", "bias-step", "two-layer")  # of which one needs bias


@pytest.fixture
def _small_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: CASES / f"{name}.toml" for name in SUITE}
    monkeypatch.setattr(selection, "case_files", lambda: files)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two cases that are not of the suite."""
    path = tmp_path / "mine"
    path.mkdir()
    for name in ("a", "b"):
        text = (CASES / "one-step.toml").read_text()
        (path / f"{name}.toml").write_text(text.replace('"one-step"', f'"{name}"'))
    return path


@pytest.mark.usefixtures("_small_suite")
@pytest.mark.parametrize(
    ("value", "names", "partial"),
    [
        (None, [*SUITE], False),
        ("smallest one-step", ["smallest", "one-step"], True),
        ("*-step", ["one-step", "bias-step"], True),
        ("one-step *-step", ["one-step", "bias-step"], True),
        ("bias", ["bias-step"], True),
        ("fresh-77-1-4 one-step", ["fresh-77-1-4", "one-step"], True),
        ("FOLDER", ["a", "b"], False),
        ("FOLDER one-step", ["a", "b", "one-step"], True),
        ("one-step FOLDER", ["one-step", "a", "b"], True),
        ("FOLDER/b.toml", ["b"], True),
        ("b.toml", ["b"], True),
    ],
)
def test_cases_are_named_by_ids_capabilities_files_and_folders(
    value: str | None,
    names: list[str],
    partial: bool,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the docstring of chosen_cases has it; a folder alone is a suite, and so is whole."""
    monkeypatch.chdir(folder)
    found, part = selection.chosen_cases(value and value.replace("FOLDER", str(folder)))
    assert [case.id for case in found] == names
    assert part is partial


@pytest.mark.usefixtures("_small_suite")
def test_a_name_that_no_case_has_is_refused() -> None:
    with pytest.raises(OptionError, match=f"{option('cases', 'one-stp')}: no case.*one-step"):
        selection.chosen_cases("one-stp")
    with pytest.raises(CaseError, match=r"/no/case\.toml"):
        selection.chosen_cases("/no/case.toml")


@pytest.mark.parametrize(
    ("seed", "number", "partial", "drawn"),
    [
        (None, None, False, (fresh.SEEDS - 1, fresh.NUMBER)),
        (None, None, True, None),
        (None, 3, True, (fresh.SEEDS - 1, 3)),
        (None, 0, False, None),
        (0, None, True, (0, fresh.NUMBER)),
        (7, 3, False, (7, 3)),
        (7, 0, False, None),
        ("none", None, False, None),
        ("none", 0, False, None),
    ],
)
def test_random_cases_are_drawn_unless_cases_are_named_or_none_is_wanted(
    seed: Any,
    number: int | None,
    partial: bool,
    drawn: tuple[int, int] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a seed it is any below SEEDS: here the last."""
    monkeypatch.setattr("secrets.randbelow", lambda most: most - 1)
    options = options_of(results=tmp_path, seed=seed, fresh=number)
    expected = drawn and Fresh(seed=drawn[0], number=drawn[1])
    assert selection.fresh_draw(options, partial=partial) == expected


def test_random_cases_cannot_be_wanted_and_not_wanted(tmp_path: Path) -> None:
    options = options_of(results=tmp_path, seed="none", fresh=2)
    with pytest.raises(OptionError, match=option("fresh", 2)):
        selection.fresh_draw(options, partial=False)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [load(CASES / f"{name}.toml") for name in SUITE]


@pytest.mark.parametrize(("number", "told"), [(1, " FRESH=1"), (fresh.NUMBER, "")])
def test_it_is_said_how_to_have_the_random_cases_again(
    number: int,
    told: str,
    cases: list[Case],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = []

    def drawn(*arguments: object) -> list[Case]:
        asked.append(arguments)
        return cases[:1]

    monkeypatch.setattr(fresh, "cases", drawn)
    ports = [port(MANIFEST), port(MANIFEST.replace('["alpha", "layers"]', '["bias"]'))]
    found = selection.fresh_cases(Fresh(seed=77, number=number), ports)
    assert found == cases[:1]
    assert asked == [(77, number, [["alpha", "layers"], ["bias"]])]
    assert f"1 fresh case: SEED=77{told} repeats them" in capsys.readouterr().err


def test_shards_have_every_nth_case_and_each_case_once(cases: list[Case]) -> None:
    assert selection.shard_of(cases, None) == cases
    for parts in range(1, len(cases) + 1):
        for part in range(1, parts + 1):
            found = selection.shard_of(cases, (part, parts))
            every = [case for k, case in enumerate(cases, 1) if k % parts == part % parts]
            assert found == every
    with pytest.raises(OptionError, match=r"5/5.*there are only 4 cases"):
        selection.shard_of(cases, (5, 5))


def port(manifest: str, name: str = "mine") -> Port:
    return Port(name, Path(name), Manifest.model_validate(tomllib.loads(manifest)))


KNOWN = '[[known_failure]]\ncase = "CASE"\nreason = "r"\nstatus = "FAIL"\nmessage = "m"\n'


@pytest.mark.parametrize(
    ("case", "dtype", "says"),
    [
        ("smallest", None, None),
        ("smallest", "float64", None),
        ("mine", None, None),
        ("softmax-step", None, None),  # of the suite, and not of this run
        ("bias-step", None, r"known_failure\.case: 'bias-step' needs the capability 'bias'"),
        ("nosuch", None, r"known_failure\.case: there is no case 'nosuch'"),
        ("smallest", "float32", r"known_failure\.dtype: the port does not list float32"),
    ],
)
def test_a_known_failure_is_one_that_can_occur(
    case: str, dtype: str | None, says: str | None, cases: list[Case]
) -> None:
    known = KNOWN.replace("CASE", case) + (f'dtype = "{dtype}"\n' if dtype else "")
    ports = [port(MANIFEST), port(MANIFEST + known)]
    all_cases = [*cases, replace(cases[0], id="mine")]
    if says is None:
        selection.check_known_failures(ports, all_cases)
        return
    with pytest.raises(PortError, match=rf"mine/port\.toml: {says}"):
        selection.check_known_failures(ports, all_cases)


RUNG = '[[rung]]\nname = "NAME"\ndtypes = ["float64"]\nmodule = "r.py"\n'
DEVICE = 'device = { detect = ["false"] }\n'
CARD = (
    PYTHON_MANIFEST.replace("CAPABILITIES", '["alpha"]')
    + '[device]\ndetect = ["false"]\n[emulation]\nname = "an imitation"\n'
    + RUNG.replace("NAME", "fast")
    + RUNG.replace("NAME", "own")
    + DEVICE
)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], []),
        (["plain", "card"], ["plain", "card"]),
        (["card:own"], ["card:own"]),
        (["card:fast:an-imitation"], ["card:fast (an imitation)"]),
        (["all"], ["card (an imitation)", "card:fast (an imitation)", "plain"]),
        (["card:own", "all", "isolation"], ["card (an imitation)", "card:fast (an imitation)",
                                            "plain", "card:own"]),
        ([selection.ISOLATION], []),
    ],
)  # fmt: skip
def test_what_is_required(words: list[str], names: list[str]) -> None:
    chosen = [port(CARD, "card"), port(MANIFEST, "plain")]
    assert [target.name for target in selection.required_targets(words, chosen)] == names


@pytest.mark.parametrize("word", ["nosuch", "card:own:an-imitation", "plain:fast"])
def test_what_is_required_must_be_selected(word: str) -> None:
    chosen = [port(CARD, "card"), port(MANIFEST, "plain")]
    says = f"{option('require', word)}: there is no such port among those selected: card, "
    with pytest.raises(OptionError, match=says):
        selection.required_targets([word], chosen)
