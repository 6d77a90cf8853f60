"""The run as a whole: exit status, results file, options, bad input."""

import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from conformance.ground.places import PAIRS
from conformance.record.models import Results
from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import (
    CASES,
    MANIFEST,
    ROOT,
    Conformance,
    Done,
    MakePort,
    PatchedC,
)
from reference.golden import checksums

SCHEMA = ROOT / "conformance" / "contract" / "results.schema.json"


def test_a_good_run_passes_times_and_writes_results(conformance: Conformance) -> None:
    done = conformance("c", "numba_cpu", cases=CASES / "three-layer.toml", options=())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.results is not None
    jsonschema.validate(done.results, json.loads(SCHEMA.read_text()))
    assert {(r["port"], r["dtype"]) for r in done.results["results"]} == {
        (port, dtype) for port in ("c", "numba_cpu") for dtype in ("float64", "float32")
    }
    assert all(r["numbers_compared"] > 500 for r in done.results["results"])
    timed = {t["port"]: t for t in done.results["timings"]}
    assert set(timed) == {"c", "numba_cpu"}
    assert all(0 < t["ns_low"] <= t["ns_per_iteration"] <= t["ns_high"] for t in timed.values())
    # NumPy was not among the ports, so there is nothing to compare with.
    assert all(t["ratio_to_numpy"] is None for t in timed.values())
    assert "PASS" in done.stdout
    assert "\x1b" not in done.stdout


def test_the_published_schema_is_that_of_the_results() -> None:
    assert json.loads(SCHEMA.read_text()) == Results.model_json_schema()


def test_each_port_and_case_is_one_test_id() -> None:
    command = [sys.executable, "-m", "pytest", "conformance", "--collect-only", "-q"]
    done = subprocess.run(
        [*command, "--port", "c numpy", "--seed", "none"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    ids = [line for line in done.stdout.splitlines() if "::" in line]
    cases = [*CASES.glob("*.toml"), *PAIRS.glob("*.toml")]
    assert len(ids) == len({*ids}) == 2 * len(cases)
    for case in ("three-layer", "pair-adam-bias"):
        assert f"conformance/test_ports.py::test_port[c-{case}]" in ids


def test_a_wrong_answer_under_the_clock_is_a_failure(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    case = tmp_path / "timed.toml"
    text = (CASES / "one-step.toml").read_text()
    case.write_text(text.replace("one-step", "timed") + "\n[timing]\niterations = [0, 1]\n")
    # Right while it is judged; then, when asked for one checkpoint at a time, wrong.
    cheat = make_port(
        "cheat",
        "if op == 'train' and len(request['checkpoints']) == 1:\n"
        "    answer['checkpoints'][0]['error'] += 1e-9",
    )
    # Slow enough that the clock can tell its time per iteration from 0 on a busy machine.
    honest = make_port("honest", "if op == 'train': time.sleep(0.1 * request['checkpoints'][-1])")
    done = conformance(cheat, honest, cases=case, options=())
    assert done.returncode == 1
    [verdict] = done.verdicts("cheat")
    assert verdict["status"] == "FAIL"
    assert "when timed: error in the run at iteration 0" in verdict["reason"]
    assert done.results is not None
    assert {t["port"] for t in done.results["timings"]} == {"honest"}


def test_a_case_without_golden_file_is_certified_on_the_fly(
    conformance: Conformance, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    text = (CASES / "one-step.toml").read_text()
    for name in ("mine", "another"):
        # A weight that no earlier run had, so that nothing is cached.
        weight = f"0.75{time.time_ns()}"
        new = text.replace("one-step", name).replace("0.75", weight)
        (folder / f"{name}.toml").write_text(new)
    first = conformance("c", cases=folder)
    assert first.returncode == 0, first.stdout
    assert first.stderr.count("deriving certified golden data for mine") == 1
    assert first.stderr.count("deriving certified golden data for another") == 1
    second = conformance("c", cases=folder)
    assert second.returncode == 0
    assert "deriving" not in second.stderr


def missing_toolchain(make_port: MakePort) -> Path:
    manifest = MANIFEST.replace('["true"]', '["no-such-compiler", "--version"]')
    return make_port("absent", manifest=manifest.replace('"nothing"', '"apt-get install it"'))


def test_a_missing_toolchain_is_a_visible_skip(
    conformance: Conformance, make_port: MakePort
) -> None:
    done = conformance(missing_toolchain(make_port), "c")
    assert done.returncode == 0
    assert done.statuses("absent") == {"SKIP"}
    assert "apt-get install it" in done.stdout


@pytest.mark.parametrize("require", ["absent", "all", "c absent"])
def test_require_makes_a_skip_a_failure(
    conformance: Conformance, make_port: MakePort, require: str
) -> None:
    options = ("--no-timing", "--require", require)
    done = conformance(missing_toolchain(make_port), "c", options=options)
    assert done.returncode == 1
    [verdict] = done.verdicts("absent")
    assert verdict["status"] == "FAIL"
    assert verdict["reason"].startswith("required, but skipped: ")
    assert done.statuses("c") == {"PASS"}


def test_require_does_not_concern_what_a_manifest_leaves_out(
    conformance: Conformance, make_port: MakePort
) -> None:
    port = make_port("p", manifest=MANIFEST.replace('["alpha", "layers"]', "[]"))
    cases = port.parent.parent / "cases"
    cases.mkdir()
    for name in ("one-step", "two-layer"):
        shutil.copy(CASES / f"{name}.toml", cases)
    done = conformance(port, cases=cases, options=("--no-timing", "--require", "p"))
    assert done.returncode == 0, done.stdout
    assert {v["status"] for v in done.verdicts("p") if v["case"] == "two-layer"} == {"SKIP"}


def test_a_required_port_of_which_nothing_is_compared_fails(
    conformance: Conformance, make_port: MakePort
) -> None:
    port = make_port("p", manifest=MANIFEST.replace('["alpha", "layers"]', "[]"))
    options = ("--no-timing", "--require", "p")
    done = conformance(port, "c", cases=CASES / "two-layer.toml", options=options)
    assert done.returncode == 1
    assert "p is required, and nothing of it was compared" in done.stdout


def test_a_required_emulation_that_cannot_run_fails(
    conformance: Conformance, make_port: MakePort
) -> None:
    manifest = MANIFEST.replace('["true"]', '["no-such-compiler"]') + (
        '[device]\ndetect = ["false"]\n[emulation]\nname = "imitation"\n'
    )
    options = ("--no-timing", "--require", "card:imitation")
    done = conformance(make_port("card", manifest=manifest), "c", options=options)
    assert done.returncode == 1
    assert done.statuses("card") == {"FAIL"}


def test_cases_are_chosen_by_id_and_by_capability(conformance: Conformance) -> None:
    done = conformance("c", cases="one-step bias")
    found = {v["case"] for v in done.verdicts("c")}
    assert {"one-step", "bias-step", "everything"} < found
    assert "three-layer" not in found
    refusal = conformance("c", cases="one-stp")
    assert refusal.returncode == 2
    assert refusal.stderr.startswith("error: CASES=one-stp: no case, capability, file or folder")
    assert "did you mean one-step" in refusal.stderr


def test_the_end_of_stderr_is_shown_after_a_crash(
    conformance: Conformance, make_port: MakePort
) -> None:
    port = make_port("p", "raise ValueError('the reason is\\nfurther up')")
    [verdict] = conformance(port).verdicts("p")
    assert verdict["status"] == "CRASH"
    assert verdict["reason"].endswith("    ValueError: the reason is\n    further up")


def test_nothing_compared_is_a_failure(conformance: Conformance, make_port: MakePort) -> None:
    done = conformance(missing_toolchain(make_port))
    assert done.returncode == 1
    assert "nothing was compared" in done.stdout


def test_a_build_that_fails_is_a_failure_with_the_compilers_words(
    conformance: Conformance, patched_c: PatchedC
) -> None:
    folder = patched_c("broken", ("static real sigmoid(real x) {", "static rael sigmoid(x) {"))
    done = conformance(folder)
    assert done.statuses("broken") == {"FAIL"}
    assert "rael" in done.stdout


def test_a_port_with_a_device_that_is_not_here(
    conformance: Conformance, make_port: MakePort
) -> None:
    manifest = MANIFEST + (
        '[device]\ndetect = ["sh", "-c", "echo no such card >&2; exit 1"]\n'
        '[emulation]\nname = "imitation"\nmax_iterations = 0\n'
    )
    done = conformance(make_port("card", manifest=manifest))
    assert done.statuses("card") == {"SKIP"}
    assert done.verdicts("card")[0]["reason"] == "no such card"
    [emulated] = done.verdicts("card (imitation)")
    assert emulated["status"] == "PASS"
    assert emulated["reason"] == "first 0 of 1 iterations"


def test_all_ports_are_required_by_their_emulation_where_a_device_is_missing(
    conformance: Conformance, make_port: MakePort
) -> None:
    manifest = MANIFEST + '[device]\ndetect = ["false"]\n[emulation]\nname = "an imitation"\n'
    card = make_port("card", manifest=manifest)
    done = conformance(card, "c", options=("--no-timing", "--require", "all"))
    assert done.returncode == 0, done.stdout
    assert done.statuses("card") == {"SKIP"}
    named = ("--no-timing", "--require", "card:an-imitation c")
    assert conformance(card, "c", options=named).returncode == 0
    itself = conformance(card, "c", options=("--no-timing", "--require", "all card"))
    assert itself.returncode == 1
    assert itself.statuses("card") == {"FAIL"}


def test_an_emulation_with_a_library_of_its_own(
    conformance: Conformance, patched_c: PatchedC
) -> None:
    folder = patched_c("card")
    manifest = folder / "port.toml"
    library = 'library = "{build}/libbackprop.so"'
    text = manifest.read_text()
    assert text.count(library) == 1
    manifest.write_text(
        text.replace(library, 'library = "{build}/absent.so"')
        + f'[device]\ndetect = ["false"]\n[emulation]\nname = "imitation"\n{library}\n'
    )
    done = conformance(folder, options=("--no-timing", "--require", "card:imitation"))
    assert done.returncode == 0, done.stdout
    assert done.statuses("card") == {"SKIP"}
    assert done.statuses("card (imitation)") == {"PASS"}


def test_a_rung_is_emulated_like_its_port(conformance: Conformance, patched_c: PatchedC) -> None:
    """Each from its own build folder, and the device is looked for once."""
    folder = patched_c("card")
    manifest = folder / "port.toml"
    text = manifest.read_text().partition("# The ladder")[0]
    library = 'library = "{build}/libbackprop.so"'
    assert text.count(library) == 1
    build = text[text.index("commands = [") :].partition("\n]\n")[0].partition("[")[2]
    rung = f'dtypes = ["float64"]\n{library}\nbuild = [{build}\n]\n'
    manifest.write_text(
        text
        + '[device]\ndetect = ["sh", "-c", "echo >> looked; exit 1"]\n'
        + f'[emulation]\nname = "an imitation"\n{library}\n'
        + f'[[rung]]\nname = "long"\n{rung}'
        + f'[[rung]]\nname = "short"\n{rung}emulated_iterations = 0\n'
    )
    options = ("--no-timing", "--require", "all")
    rungs = [f"{folder}:long", f"{folder}:short"]
    done = conformance(folder, *rungs, options=options)
    assert done.returncode == 0, done.stdout
    for name in ("card", "card:long", "card:short"):
        assert done.statuses(name) == {"SKIP"}
        assert done.statuses(f"{name} (an imitation)") == {"PASS"}
    [short] = done.verdicts("card:short (an imitation)")
    assert short["reason"] == "first 0 of 1 iterations"
    assert (folder / "looked").read_text().count("\n") == 1
    named = ("--no-timing", "--require", "card:long:an-imitation")
    assert conformance(rungs[0], options=named).returncode == 0
    itself = ("--no-timing", "--require", "card:long")
    assert conformance(rungs[0], options=itself).returncode == 1


def test_a_reader_that_stops_early_is_no_error() -> None:
    command = f"{sys.executable} -m conformance check c --cases one-step --seed none --no-timing"
    done = subprocess.run(
        ["sh", "-c", f"{command} | true"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=patience(300),
    )
    assert "Traceback" not in done.stderr


# Changes to a manifest, and what the message must say.
MANIFEST_MISTAKES = [
    ('kind = "process"', 'kind = "process"\ncolour = 1', "port.toml: unknown key 'colour'"),
    ('kind = "process"', 'kind = "magic"', "port.toml: kind"),
    ('kind = "process"', 'kind = "c-abi"', "kind 'c-abi' needs run.library"),
    ('language = "Python, scripted"', "", "missing key 'language'"),
    ('dtypes = ["float64"]', "dtypes = []", "port.toml: dtypes"),
    ('dtypes = ["float64"]', 'dtypes = ["float16"]', "dtypes[0]"),
    ("time_limit_s = 2.0", "time_limit_s = -1.0", "run.time_limit_s"),
    ("format = 1", "format 1", "is not TOML"),
    (
        "format = 1",
        'format = 1\nknown_failure = [{case = "one-step", dtype = "float32", status = "FAIL", '
        'message = "m", reason = "r"}]',
        "known_failure.dtype: the port does not list float32",
    ),
    (
        "format = 1",
        'format = 1\nknown_failure = [{case = "no", status = "FAIL", message = "m", reason = "r"}]',
        "there is no case 'no'",
    ),
    (
        "{port}/port.py",
        "{prot}/port.py",
        "run.command[2]: there is no placeholder {prot}, only {port}",
    ),
    ('["true"]', '["sh", "{bild}/x"]', "toolchain.detect[1]: there is no placeholder {bild}, "),
    (
        '["true"]',
        '["sh", "{bild}/x"]',
        "; did you mean build? (braces for anything else need spaces",
    ),
    ("[run]", '[run]\nenv = { A = "{nothing}" }', "run.env.A: there is no placeholder {nothing}"),
    (
        "format = 1",
        'format = 1\ndevice = {detect = ["false"]}\nemulation = {name = "e", library = "e.so"}',
        "kind 'process' has no use for emulation.library",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), MANIFEST_MISTAKES)
def test_a_mistake_in_a_manifest_is_one_sentence(
    conformance: Conformance, make_port: MakePort, old: str, new: str, message: str
) -> None:
    assert MANIFEST.count(old) == 1
    refused(conformance(make_port("p", manifest=MANIFEST.replace(old, new))), message)


def test_braces_that_are_no_placeholders_stay(
    conformance: Conformance, make_port: MakePort
) -> None:
    """Of awk, a shell, JavaScript, templates and regular expressions."""
    braces = "{ print } ${HOME} ${process.version} {{name}} x{3} {} {.x}"
    detect = json.dumps(["echo", braces, "{port}"])
    port = make_port("p", manifest=MANIFEST.replace('["true"]', detect))
    done = conformance(port)
    assert done.results is not None, done.stderr
    assert done.results["ports"][0]["toolchain"] == f"{braces} {port}"


def refused(done: Done, message: str) -> None:
    """One sentence on stderr that says this, status 2, no results, no traceback."""
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
    assert done.results is None


def test_bad_selections_are_one_sentence(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(conformance("c", "nosuch"), "PORT=nosuch: there is no such port")
    refused(conformance(tmp_path / "absent"), "there is no such port")
    refused(conformance(empty), "has no port.toml, so it is not a port")
    refused(conformance("c", "c"), "the port c is named twice")
    refused(conformance(make_port("c"), "c"), "a port named 'c' is already at")
    refused(conformance("c", cases=empty), "no cases found")
    refused(conformance("c", cases=tmp_path / "absent"), "no such folder or file")
    options = ("--require", "numpy")
    refused(conformance("c", options=options), "REQUIRE=numpy: there is no such port")


def test_a_bad_case_is_one_sentence(conformance: Conformance, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text((CASES / "one-step.toml").read_text().replace("layers", "layer"))
    refused(conformance("c", cases=bad), "unknown key 'network.layer'")


def test_golden_data_that_does_not_fit_is_refused(conformance: Conformance, tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "golden").mkdir()
    case, golden = tmp_path / "cases" / "one-step.toml", tmp_path / "golden" / "one-step.json"
    shutil.copy(CASES / "one-step.toml", case)
    good = (ROOT / "conformance" / "suite" / "golden" / "one-step.json").read_text()
    golden.write_text(good)
    refused(conformance("c", cases=case), "one-step.json: is not in SHA256SUMS beside it: ")
    checksums.record(golden.parent, [golden])
    assert conformance("c", cases=case).returncode == 0
    # All that is needed is there, and a number is another one.
    golden.write_text(good.replace('"tolerance": 7.105', '"tolerance": 7.205', 1))
    assert golden.read_text() != good
    refused(conformance("c", cases=case), "one-step.json: is not the file that SHA256SUMS has: ")
    golden.write_text(good.replace('"noise"', '"nose"', 1))
    refused(conformance("c", cases=case), "is not a golden file: ")
    golden.write_text(good[:1000])
    refused(conformance("c", cases=case), "is not a golden file: invalid JSON")
    for old, new in (
        ('"case": "one-step"', '"case": "other"'),
        ('"iteration": 1', '"iteration": 2'),
        ('"name": "syn0"', '"name": "syn9"'),
        ("[[0.5, -0.25], [0.75, 0.125]]", "[[0.5, -0.25, 0.75, 0.125]]"),
    ):
        assert old in good
        golden.write_text(good.replace(old, new, 1))
        refused(conformance("c", cases=case), "does not have the tensors of one-step.toml")
    golden.write_text(good)
    case.write_text(case.read_text() + "\n# a changed case\n")
    refused(conformance("c", cases=case), "was made from another version of one-step.toml")


def test_names_are_shown_as_they_are(make_port: MakePort) -> None:
    port = make_port("p", manifest=MANIFEST.replace("scripted", "[bold] [/x]"))
    command = [sys.executable, "-m", "conformance", "ports", str(port)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert "[bold] [/x]" in done.stdout


def test_make_takes_its_variables_from_the_command_line_only() -> None:
    environment = {**os.environ, "PORT": "8080", "CASES": "none"}
    command = ["make", "--dry-run", "--no-print-directory", "conformance"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert "8080" not in done.stdout
    recipe = done.stdout.partition("-m conformance check")[2]
    assert recipe
    assert not recipe.replace("\\", "").strip()  # no port and no option


def test_several_processes_are_refused(conformance: Conformance) -> None:
    refused(
        conformance("c", options=("-n", "2"), pytest=True), "-n: ports are judged in one process"
    )


def interrupted(
    command: list[str], when: str, number: signal.Signals
) -> subprocess.CompletedProcess[str]:
    """Run a command, and send its process group a signal once stderr has these words."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    seen = ""
    while when not in seen:
        line = process.stderr.readline()
        assert line, seen
        seen += line
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=patience(30))
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # nobody of the group is left
    return subprocess.CompletedProcess(command, process.returncode, out, seen + err)


@pytest.mark.parametrize(
    "words", ["conformance check c numpy", "pytest conformance --port=c\\ numpy"]
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_what_it_has(
    tmp_path: Path, number: signal.Signals, words: str
) -> None:
    file = tmp_path / "results.json"
    command = [sys.executable, "-m", *shlex.split(words), "--results", str(file)]
    command += ["--cases", str(CASES / "three-layer.toml")]
    done = interrupted([*command, "--seed", "none"], "on three-layer, 5 rounds", number)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    found = json.loads(file.read_text())
    assert found["complete"] is False
    assert len(found["results"]) == 4
    assert [p for p in tmp_path.iterdir() if p != file] == []


def test_interrupted_golden_data_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    for name in ("one-step", "three-layer"):
        shutil.copy(CASES / f"{name}.toml", tmp_path / "cases")
    (tmp_path / "golden").mkdir()
    kept = tmp_path / "golden" / "three-layer.json"
    kept.write_text("as it was")
    text = (CASES / "two-layer.toml").read_text()
    # The first to be done, so that there is a line to wait for.
    (tmp_path / "cases" / "a.toml").write_text(
        text.replace("two-layer", "a").replace("iterations = 10000", "iterations = 9999999")
    )
    command = [sys.executable, "-m", "reference", "golden", str(tmp_path / "cases")]
    done = interrupted(command, "[1/6] a float64", signal.SIGINT)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert kept.read_text() == "as it was"
    assert list((tmp_path / "golden").iterdir()) == [kept]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_manifest_is_one_sentence(
    conformance: Conformance, make_port: MakePort
) -> None:
    folder = make_port("p")
    (folder / "port.toml").chmod(stat.S_IWUSR)
    refused(conformance(folder), "cannot be read")


def test_a_manifest_that_is_a_folder_is_one_sentence(
    conformance: Conformance, make_port: MakePort
) -> None:
    folder = make_port("p")
    (folder / "port.toml").unlink()
    (folder / "port.toml").mkdir()
    refused(conformance(folder), "cannot be read: Is a directory")


def test_results_that_cannot_be_written_are_one_sentence(
    conformance: Conformance, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    options = ("--no-timing", "--results", str(tmp_path / "file" / "results.json"))
    refused(conformance("c", options=options), "file/results.json: cannot be written")


def test_ports_lists_versions_and_install_commands(make_port: MakePort) -> None:
    absent = missing_toolchain(make_port)
    command = [sys.executable, "-m", "conformance", "ports", "c", str(absent)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert "gcc" in done.stdout
    assert "missing: apt-get install it" in done.stdout
    done = subprocess.run([*command, "nosuch"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith("error: PORT=nosuch")
