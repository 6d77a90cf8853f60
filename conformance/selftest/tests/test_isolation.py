"""What a port cannot reach, layer by layer: expected values, the harness's memory, secrets.

A port searches for them everywhere, and what it finds must be what the results say it could reach.
"""

import html
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.process import landlock
from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import MANIFEST, ROOT, SCRIPTED, copied

SEARCHING = Path(__file__).with_name("searching_port.py")
REPLAYING = Path(__file__).with_name("replaying_port.py")
LAYERS = ("landlock", "namespaces", "capabilities", "dumpable")
SECRET = f"secret-{uuid.uuid4().hex}"  # not that of a test that runs beside this one
TOLD = 'answer = {"id": answer["id"], "failure": "found: " + ", ".join(searching.found())}'
# As a user who is not root: the owner of root's files without any of root's rights.
USER = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]

Clone = Path


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone with one case, which git holds as loose objects, and the port that searches."""
    folder = copied(tmp_path_factory.mktemp("clone"), ["one-step", "SHA256SUMS"], "Makefile")
    port = folder / "ports" / "searcher"
    port.mkdir(parents=True)
    (port / "port.toml").write_text(MANIFEST.replace("2.0", "60.0"))
    (port / "port.py").write_text(
        SCRIPTED.read_text()
        .replace("# SABOTAGE", TOLD)
        .replace("import json\n", "import json\nimport searching\n", 1)
    )
    golden = json.loads((folder / "conformance/suite/golden/one-step.json").read_text())
    number = golden["float64"]["steps"][0]["tensors"][0]["value"][0][0]
    (port / "searching.py").write_text(
        SEARCHING.read_text()
        .replace('ROOT = ""', f"ROOT = {str(folder)!r}")
        .replace('NEEDLE = ""', f"NEEDLE = {repr(number)[::-1]!r}")
        .replace('SECRET = ""', f"SECRET = {SECRET[::-1]!r}")
    )
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True)
    return folder


def checked(
    clone: Clone,
    *words: str,
    without: str = "",
    before: tuple[str, ...] = (),
    python: str | Path = sys.executable,
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """How `check` ended in this clone, without some layers, and its results."""
    results = clone / "build" / "results.json"
    results.unlink(missing_ok=True)
    env = {**os.environ, "PYTHONPATH": str(clone), "CONFORMANCE_WITHOUT": without, "MINE": SECRET}
    command = [str(python), "-m", "conformance", "check", "--no-timing", "--seed", "none"]
    done = subprocess.run(
        [*before, *command, *words],
        cwd=clone,
        env=env,
        capture_output=True,
        text=True,
        timeout=patience(300),
    )
    assert results.exists(), done.stderr
    return done, json.loads(results.read_text())


def searched(clone: Clone, without: str, before: tuple[str, ...]) -> tuple[set[str], set[str]]:
    """What a port found, and what the results say that it could reach."""
    _, results = checked(clone, "searcher", without=without, before=before)
    [verdict] = results["results"]
    said, _, found = verdict["reason"].partition("found: ")
    assert "the port says" in said, verdict["reason"]
    [port] = results["ports"]
    return set(filter(None, found.split(", "))), set(port["within_reach"])


def _users() -> Iterator[Any]:
    """Whoever runs the tests; and, where that is root, a user without root's rights."""
    yield pytest.param((), id="root" if os.geteuid() == 0 else "user")
    if os.geteuid() == 0 and subprocess.run([*USER, "true"], check=False).returncode == 0:
        yield pytest.param(tuple(USER), id="user")


USERS = [*_users()]


def without(*kept: str) -> str:
    return " ".join(layer for layer in LAYERS if layer not in kept)


@pytest.mark.parametrize("before", USERS)
@pytest.mark.parametrize(
    "off",
    ["", "landlock", without("dumpable"), without()],
    ids=["all", "all but Landlock", "dumpable", "none"],
)
def test_a_port_finds_nothing_but_what_the_results_say(
    clone: Clone, off: str, before: tuple[str, ...]
) -> None:
    found, reach = searched(clone, off, before)
    if "git objects" in found:  # they have golden files
        found = found - {"git objects"} | {"golden files"}
    assert found <= reach
    if off == without():  # the search is good for something
        assert {"golden files", "the environment"} <= found
        assert len(reach) == 4
        if not before and os.geteuid() == 0:
            assert "the harness's memory" in found


@pytest.mark.parametrize("before", USERS)
@pytest.mark.skipif(not landlock.version(), reason="this system has no Landlock")
def test_landlock_alone_closes_files_memory_and_environment(
    clone: Clone, before: tuple[str, ...]
) -> None:
    found, reach = searched(clone, without("landlock"), before)
    assert found <= reach
    # Linux shows the environment of any process to whoever may watch performance, such as root.
    root = not before and os.geteuid() == 0
    assert reach == {"the network", *(["the environment"] if root else [])}
    if root:
        kept = without("landlock", "capabilities")
        assert searched(clone, kept, before) == (set(), {"the network"})


@pytest.mark.parametrize("before", USERS)
def test_name_spaces_alone_close_everything(clone: Clone, before: tuple[str, ...]) -> None:
    root = not before and os.geteuid() == 0
    names = ["unshare", "--mount", "--net", *([] if root else ["--user", "--map-root-user"])]
    if subprocess.run([*before, *names, "true"], check=False).returncode:
        pytest.skip("this system has no name spaces for this user")
    # Root has rights over another's memory, which are a layer of their own.
    kept = ("namespaces", "capabilities") if root else ("namespaces",)
    assert searched(clone, without(*kept), before) == (set(), set())


@pytest.mark.parametrize("before", USERS)
def test_a_python_behind_a_link_among_temporary_files_is_found(
    clone: Clone, before: tuple[str, ...], tmp_path: Path
) -> None:
    link = tmp_path / "venv"  # as in a clone in /tmp, where the new root is made
    link.symlink_to(sys.prefix)
    python = link / "bin" / Path(sys.executable).name
    for off in ("", "landlock"):
        _, results = checked(clone, "searcher", without=off, before=before, python=python)
        assert "the port says: found: " in results["results"][0]["reason"]


def test_capabilities_alone_close_memory_and_environment(clone: Clone) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has any")
    found, reach = searched(clone, without("capabilities"), ())
    assert reach == {"golden files", "the network"}
    assert found == {"golden files", "git objects"}


@pytest.fixture
def replay(tmp_path: Path) -> Path:
    folder = tmp_path / "replay"
    folder.mkdir()
    manifest = MANIFEST.replace("2.0", "60.0").replace('["float64"]', '["float64", "float32"]')
    (folder / "port.toml").write_text(manifest)
    (folder / "port.py").write_text(
        REPLAYING.read_text().replace('ROOT = ""', f"ROOT = {str(ROOT)!r}")
    )
    return folder


def in_this_clone(port: Path | str, tmp_path: Path, *words: str, without: str = "") -> Any:
    env = {**os.environ, "CONFORMANCE_WITHOUT": without}
    command = [sys.executable, "-m", "conformance", "check", str(port), "--no-timing"]
    more = ["--cases", "one-step three-layer", "--results", str(tmp_path / "r.json"), *words]
    return subprocess.run(
        [*command, *more], cwd=ROOT, env=env, capture_output=True, text=True, timeout=patience(300)
    )


MARK = "every number is exactly the golden one"


def shown_elsewhere(folder: Path) -> list[str]:
    """What the page, its summary and a merged table say about the results in a folder."""
    words = [sys.executable, "-m", "conformance"]
    report = [*words, "report", "r.json", "--folder", "report"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(report, cwd=folder, env=env, check=True, capture_output=True)
    merge = [*words, "merge", "r.json"]
    merged = subprocess.run(merge, cwd=folder, env=env, check=True, capture_output=True, text=True)
    pages = [(folder / "report" / name).read_text() for name in ("index.html", "summary.md")]
    return [*pages, merged.stdout]


def plain(text: str) -> str:
    """Text as it is read: in one line, without what HTML writes in another way."""
    return " ".join(html.unescape(text).split())


@pytest.mark.parametrize("layers", [(), ("landlock",), ("namespaces", "capabilities")])
def test_a_port_that_looks_answers_up_passes_only_if_nothing_holds(
    replay: Path, tmp_path: Path, layers: tuple[str, ...]
) -> None:
    done = in_this_clone(replay, tmp_path, without=without(*layers))
    reach = json.loads((tmp_path / "r.json").read_text())["ports"][0]["within_reach"]
    if "golden files" in reach:
        assert "replay  PASS  4" in done.stdout
        for said in (done.stdout, *shown_elsewhere(tmp_path)):
            assert "within the ports' reach: golden files" in plain(said)
            assert MARK in plain(said)
    else:
        assert "cannot look it up" in " ".join(done.stdout.split())
        assert done.returncode == 1
    assert ("golden files" in reach) >= (not layers)


def test_a_correct_port_is_not_marked(tmp_path: Path) -> None:
    assert MARK not in in_this_clone("numpy", tmp_path).stdout


def test_isolation_can_be_required(clone: Clone) -> None:
    shutil.copytree(ROOT / "ports" / "numpy", clone / "ports" / "numpy", dirs_exist_ok=True)
    words = ("numpy", "--require", "isolation numpy")
    done, _ = checked(clone, *words, without=without())
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    assert (
        "error: isolation is required, but within the ports' reach: golden files, the harness's "
        "memory, the environment and the network (no Landlock, no name spaces)" in said
    )
    assert " PASS " in done.stdout
    done, results = checked(clone, *words)
    assert done.returncode == bool(results["ports"][0]["within_reach"])
