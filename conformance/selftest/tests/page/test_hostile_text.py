"""Ports whose builds, detection, manifests and answers say harmful things, through all commands."""

import json
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from conformance.selftest.tests.conftest import CASES, MANIFEST, SCRIPTED
from conformance.selftest.tests.outside import (
    TEXT,
    assert_harmless_markdown,
    assert_harmless_on_a_terminal,
    assert_harmless_page,
    texts_of,
    unseen,
)
from conformance.selftest.tests.page.report_files import command

pytestmark = pytest.mark.xdist_group("report")

SAYS = TEXT.replace("\0", "").replace("\ud800", "")  # what a TOML file and a command line can hold
ANSWER = "print(json.dumps({'id': answer['id'], %r: %r}), flush=True); continue"


@dataclass(frozen=True)
class Saying:
    """A port that says it in one place: lines of its manifest replaced, and what it does."""

    manifest: dict[str, str]
    code: str = ""


def saying(stream: str, ending: str) -> str:
    """A command that says it on stdout or stderr, as a list in TOML."""
    script = f"import sys; sys.{stream}.write({SAYS!r}); sys.exit({ending})"
    return json.dumps(["python3", "-c", script])


BUILD = "[run]"
PORTS = {
    "build": Saying({BUILD: f"[build]\ncommands = [{saying('stderr', '1')}]\n[run]"}),
    "build_says": Saying({BUILD: f"[build]\ncommands = [{saying('stdout', '0')}]\n[run]"}),
    "detect": Saying({'detect = ["true"]': f"detect = {saying('stdout', '0')}"}),
    "detect_fails": Saying({'detect = ["true"]': f"detect = {saying('stderr', '1')}"}),
    "language": Saying({'"Python, scripted"': json.dumps(SAYS)}),
    "install": Saying({'["true"]': '["false"]', '"nothing"': json.dumps(SAYS)}),
    "stderr": Saying({}, f"sys.stderr.write({SAYS!r}); sys.stderr.flush(); sys.exit(1)"),
    "device": Saying({}, f"if op == 'hello': answer['device'] = {SAYS!r}"),
    "answer": Saying({}, f"if op != 'hello': answer[{SAYS!r}] = {SAYS!r}"),
    "noise": Saying({}, f"print({SAYS!r}, flush=True)"),
    "declines": Saying({}, "if op != 'hello':\n" + "    " + ANSWER % ("unsupported", SAYS)),
    "fails": Saying({}, "if op != 'hello':\n" + "    " + ANSWER % ("failure", SAYS)),
    "known": Saying(
        {
            BUILD: '[[known_failure]]\ncase = "one-step"\nstatus = "CRASH"\nmessage = "ended"\n'
            f"reason = {json.dumps(SAYS)}\n[run]"
        },
        "sys.exit(1)",
    ),
}


@dataclass(frozen=True)
class Said:
    """What the commands said and wrote about all these ports."""

    folder: Path
    done: dict[str, CompletedProcess[str]]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    folder = tmp_path_factory.mktemp("said")
    for name, port in PORTS.items():
        (folder / name).mkdir()
        manifest = MANIFEST.replace("time_limit_s = 2.0", "time_limit_s = 60.0")
        for old, new in port.manifest.items():
            assert manifest.count(old) == 1
            manifest = manifest.replace(old, new)
        (folder / name / "port.toml").write_text(manifest)
        code = port.code.replace("\n", "\n    ")
        (folder / name / "port.py").write_text(SCRIPTED.read_text().replace("# SABOTAGE", code))
    # A name beside them that is as harmful as a folder's can be.
    odd = folder / "x<canary>|`a`**b**"
    (folder / "stderr").rename(odd)
    ports = sorted(p for p in folder.iterdir() if p.is_dir())
    case = folder / "case.toml"
    text = (CASES / "one-step.toml").read_text()
    title = next(line for line in text.splitlines() if line.startswith("title"))
    case.write_text(text.replace(title, f"title = {json.dumps(SAYS)}"))
    judged: list[str | Path] = [
        "--cases",
        "one-step",
        "--no-timing",
        "--results",
        folder / "results.json",
    ]
    done = {
        "check": command("check", *ports, *judged, "-v", "--bundle", folder / "bundle.zip"),
        "junit": command("check", *ports, *judged, "--junit", folder / "junit.xml"),
        "ports": command("ports", *ports),
        "missing": command("ports", "--missing", *ports),
        "merge": command("merge", folder / "results.json", "--json", folder / "merged.json"),
        "report": command("report", folder / "results.json", "--folder", folder / "page"),
        "case": command("check", ports[0], "--cases", case, "--results", folder / "other.json"),
    }
    return Said(folder, done)


@pytest.mark.parametrize("name", ["check", "junit", "ports", "missing", "merge", "report", "case"])
def test_what_a_command_prints(said: Said, name: str) -> None:
    done = said.done[name]
    assert done.returncode == (0 if name in ("ports", "missing", "report") else 1), done.stderr
    assert "canary" in done.stdout or name in ("report", "case"), done.stderr
    assert_harmless_on_a_terminal(done.stdout)
    assert_harmless_on_a_terminal(done.stderr)


def test_each_port_ends_as_it_should(said: Said) -> None:
    found = json.loads((said.folder / "results.json").read_text())
    assert {r["port"]: r["status"] for r in found["results"]} == {
        "answer": "GARBAGE",
        "build": "FAIL",
        "build_says": "PASS",
        "declines": "SKIP",
        "detect": "PASS",
        "detect_fails": "SKIP",
        "device": "PASS",
        "fails": "FAIL",
        "install": "SKIP",
        "known": "XFAIL",
        "language": "PASS",
        "noise": "GARBAGE",
        "x<canary>|`a`**b**": "CRASH",
    }


def test_what_is_written(said: Said) -> None:
    folder = said.folder
    for name in ("results.json", "merged.json"):
        raw = (folder / name).read_text()
        assert unseen(raw) == set()
        assert set().union(*map(unseen, texts_of(json.loads(raw)))) == set()
    assert_harmless_markdown((folder / "page" / "summary.md").read_text())
    assert_harmless_page((folder / "page" / "index.html").read_text())
    for badge in (folder / "page" / "badges").iterdir():
        assert_harmless_page(badge.read_text())
    junit = (folder / "junit.xml").read_text()
    assert unseen(junit) == set()
    assert "canary" in junit
    ET.fromstring(junit)


def test_what_a_person_reads_of_the_bundle(said: Said) -> None:
    with zipfile.ZipFile(said.folder / "bundle.zip") as bundle:
        names = bundle.namelist()
        for name in names:
            assert unseen(name) == set()
            assert not name.startswith("/")
            assert ".." not in name.split("/")
            if name.endswith(".json"):
                assert unseen(bundle.read(name).decode()) == set()
            if name.endswith(("README.txt", "build.txt")):
                assert_harmless_on_a_terminal(bundle.read(name).decode())
        assert "canary" in bundle.read("ports/build/build.txt").decode()
