"""PORTING.md: its commands are run, its messages are the real ones, and its tables are true."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conformance.selftest.tests.conftest import CASES, MANIFEST, ROOT, Conformance, MakePort
from conformance.wire.c_library import CLibrary
from reference.cases.case import load_all

PERL = Path(__file__).parent / "perl_port.pl"
JAVA = Path(__file__).parent / "java_port" / "Backprop.java"
GUIDE = (ROOT / "conformance/contract/PORTING.md").read_text()
BLOCK = re.compile(r"(?:<!-- stage (\d) -->\n)?```console\n\$ ([^\n]*)\n(.*?)```", re.S)
TOML = re.findall(r"```toml\n(.*?)```", GUIDE, re.S)
SHOWN_HOME = "/home/you"


def at_stage(stage: int) -> str:
    """The Perl port as it is at a stage of PORTING.md."""
    kept = []
    for line in PERL.read_text().splitlines():
        code, _, stages = line.partition("    # stages ")
        spans = [re.fullmatch(r"(\d)(-?)(\d?)", span) for span in stages.split(",") if span]
        if not spans or any(m and int(m[1]) <= stage <= last(m) for m in spans):
            kept.append(code)
    return "\n".join(kept) + "\n"


def last(span: re.Match[str]) -> int:
    return int(span[3] or (9 if span[2] else span[1]))


def run(command: str, home: Path) -> subprocess.CompletedProcess[str]:
    """What a person types, with another home, and without a random case or timing."""
    line = command.replace("~", str(home)).replace("make", "make --no-print-directory", 1)
    if " conformance " in line:
        line += f" RESULTS={home}/results.json"
    return subprocess.run(line, shell=True, capture_output=True, text=True, cwd=ROOT)


def assert_shown(block: str, said: str) -> None:
    """Each line of the block is there, in this order; `...` stands for any lines."""
    lines = iter(said.splitlines())
    for shown in block.splitlines():
        if shown != "...":
            # A column is as wide as its widest entry.
            words = re.escape(" ".join(shown.split())).replace(r"\.\.\.", ".*")
            found = any(re.fullmatch(words, " ".join(line.split())) for line in lines)
            assert found, f"{shown}\n{said}"


@pytest.fixture
def perl() -> None:
    command = ["perl", "-MJSON::PP", "-e", "1"]
    if shutil.which("perl") is None or subprocess.run(command).returncode:
        pytest.fail("Perl with JSON::PP is needed for this test: apt-get install perl")


@pytest.mark.usefixtures("perl")
def test_the_way_of_porting_md_leads_to_green(tmp_path: Path) -> None:
    """No file but those of the port's folder is written, in a language that is not listed."""
    port = tmp_path / "perl"
    blocks = BLOCK.findall(GUIDE)
    assert [int(stage or 0) for stage, _, _ in blocks] == [0, 0, 1, 2, 3, 4, 5, 5, 6]
    manifest = TOML[0]
    for stage, command, shown in blocks:
        if stage:
            (port / "backprop.py").unlink(missing_ok=True)
            (port / "backprop.pl").write_text(at_stage(int(stage)))
            listed = ["alpha", "layers", "bias"][: 0 if int(stage) < 6 else 3]
            capabilities = f"capabilities = {listed}".replace("'", '"')
            (port / "port.toml").write_text(manifest.replace("capabilities = []", capabilities))
        done = run(command, tmp_path)
        said = (done.stdout + done.stderr).replace(str(tmp_path), SHOWN_HOME)
        assert_shown(shown, said)
        green = "PASS" in shown or command.startswith("make new-port")
        assert (done.returncode == 0) == green, said


@pytest.mark.parametrize("kind", ["c-abi", "python", "process"])
def test_a_new_port_starts_and_is_told_what_is_wrong(kind: str, tmp_path: Path) -> None:
    command = f"make new-port NAME=~/mine KIND={kind}"
    done = run(command, tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"next: make conformance PORT={tmp_path}/mine CASES=one-step" in done.stdout
    assert sorted(path.name for path in (tmp_path / "mine").iterdir())[0] == "README.md"
    said = run(f"make conformance PORT={tmp_path}/mine CASES=one-step", tmp_path)
    assert said.returncode != 0
    assert "FAIL: mine on one-step, float64: first divergence: l1[" in said.stdout
    assert "got        0.0 " in said.stdout
    again = run(command, tmp_path)
    assert again.returncode != 0
    assert f"error: {tmp_path}/mine: already exists" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("NAME=~/mine KIND=c", "argument KIND: invalid choice: 'c' (choose from "),
        (
            "NAME=~/mine",
            "make: KIND is missing, as in: make new-port NAME=zig KIND=c-abi|python|",
        ),
        ("NAME=~/mine KIND=", "make: KIND is missing, as in: make new-port NAME=zig KIND=c-abi|"),
        ("KIND=c-abi", "make: NAME is missing, as in: make new-port NAME=zig KIND=c-abi|"),
        ("NAME=~/.mine KIND=python", ".mine: is not a name for a port"),
        ("NAME=/proc/no/mine KIND=python", "/proc/no/mine: cannot be written: No such file"),
    ],
)
def test_a_new_port_that_cannot_be(arguments: str, says: str, tmp_path: Path) -> None:
    done = run(f"make new-port {arguments}", tmp_path)
    assert done.returncode != 0
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(shutil.which("javac") is None, reason="javac is not installed")
def test_the_compiled_example_is_built_and_passes(tmp_path: Path, conformance: Conformance) -> None:
    port = tmp_path / "java"
    port.mkdir()
    shutil.copy(JAVA, port)
    first = 'format = 1\nlanguage = "Java"\nkind = "process"\ndtypes = ["float64"]\n'
    (port / "port.toml").write_text(first + 'capabilities = ["layers"]\n' + TOML[1])
    done = conformance(port, cases="one-step late-checkpoint saturated several-outputs")
    assert done.statuses("java") == {"PASS"}, done.stdout + done.stderr
    assert len(done.verdicts("java")) == 4


DIGITS = re.findall(r"^\| `%\.(\d+)g` \| (.*) \| (.*) \|$", GUIDE, re.M)


def test_too_few_digits_show_as_the_table_says(
    make_port: MakePort, conformance: Conformance
) -> None:
    """A correct port that prints each number with so many digits, as printf does."""
    assert [digits for digits, *_ in DIGITS] == ["6", "12", "15", "17"]
    patient = MANIFEST.replace("time_limit_s = 2.0\n", "")
    ports = [make_port(f"digits{d}", PRINTED.replace("DIGITS", d), patient) for d, *_ in DIGITS]
    done = conformance(*ports, cases="one-step seed-2")
    for digits, *cells in DIGITS:
        for case, cell in zip(("one-step", "seed-2"), cells, strict=True):
            [verdict] = [v for v in done.verdicts(f"digits{digits}") if v["case"] == case]
            status, margin = cell.split()
            assert verdict["status"] == status
            assert float(f"{verdict['margin']:.0e}") == float(margin)


PRINTED = """
def printed(value):
    if isinstance(value, dict):
        return {key: printed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [printed(item) for item in value]
    return float("%.DIGITSg" % value) if isinstance(value, float) else value
answer = printed(answer)
"""


def test_the_settings_of_c_are_as_large_as_it_says() -> None:
    ffi = CLibrary(None).ffi
    fields = ffi.typeof("backprop_settings").fields
    assert [field.offset for _, field in fields] == [8 * i for i in range(len(fields))]
    size = ffi.sizeof("backprop_settings")
    text = " ".join(GUIDE.split())
    assert f"{len(fields)} fields of 8 bytes each" in text
    assert f"without gaps, {size} bytes in all" in text
    kinds = {field.type.cname for name, field in fields if name != "layers"}
    assert kinds == {"int64_t", "double"}


def test_the_statuses_of_c_are_those_of_the_header() -> None:
    rows = re.findall(r"^\| (\d) \| `(BACKPROP_\w+)` \|", GUIDE, re.M)
    values = CLibrary(None).ffi.typeof("enum backprop_status").elements
    assert {int(number): name for number, name in rows} == values


@pytest.mark.usefixtures("perl")
def test_ask_prints_the_requests_and_starts_a_port_with_them(tmp_path: Path) -> None:
    port = tmp_path / "perl"
    port.mkdir()
    (port / "backprop.pl").write_text(at_stage(5))
    (port / "port.toml").write_text(TOML[0])
    [commands] = re.findall(r"```sh\n(.*?)```", GUIDE, re.S)
    requests, answers = (run(command, tmp_path) for command in commands.splitlines())
    assert requests.returncode == answers.returncode == 0, requests.stderr + answers.stderr
    asked = [json.loads(line) for line in requests.stdout.splitlines()]
    assert [request["op"] for request in asked] == ["hello", "step", "step", "train"]
    said = [json.loads(line) for line in answers.stdout.splitlines()]
    assert [answer["id"] for answer in said] == [request["id"] for request in asked]


def test_what_to_list_together_is_what_the_cases_need() -> None:
    table = GUIDE.split("| to run cases with |")[1].split("\n\n")[0]
    said = {}
    for capabilities, others in re.findall(r"^\| (`.*) \| (.*) \|$", table, re.M):
        for name in re.findall(r"`([\w-]+)`", capabilities):
            said[name] = set(re.findall(r"`([\w-]+)`", others))
    assert said == needed_rests()


def needed_rests() -> dict[str, set[str]]:
    """For each capability without a case of its own, those of which one more gives it a case."""
    needs = [set(case.needs) for case in load_all(CASES)]
    found = {}
    for name in set().union(*needs):
        rests = [case - {name} for case in needs if name in case]
        if set() not in rests:
            found[name] = set().union(*(others for others in rests if len(others) == 1))
    return found
