"""Ports that are asked twice: what a different second answer says about them."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from conformance.process import memory
from conformance.selftest.tests.conftest import (
    CASES,
    NOTING,
    PYTHON_MANIFEST,
    PYTHON_MODULE,
    ROOT,
    Conformance,
    Done,
    MakePort,
    PatchedC,
    notes_of,
)

WHY = "a race, memory that nobody wrote, or something left over from the question before"

# Patches of the C port. Its mean of the errors, computed by four threads:
MEAN = """    real sum = 0;
    for (int64_t i = 0; i < count; i++) sum += FABS(net->y[i] - output[i]);
    return sum / (real)count;
"""
LEFT_OVER = """    static real left;
    real sum = left;
    for (int64_t i = 0; i < count; i++) sum += FABS(net->y[i] - output[i]);
    left = sum;
    return sum / (real)count;
"""
MEAN_BEGINS = "/* The mean of |y - l[K]| over all samples. */\n"
PARTS = """#include <time.h>
#include <unistd.h>
typedef struct { const network *net; const real *output; int64_t first, last; real *sum; } part;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Some time or other, so that each thread may be the first. */
static void wait(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    usleep((useconds_t)(now.tv_nsec / 100 % 500));
}
static void *add(void *argument) {
    const part *p = argument;
    real sum = 0;
    for (int64_t i = p->first; i < p->last; i++) sum += FABS(p->net->y[i] - p->output[i]);
    ADD
    return NULL;
}
"""
IN_ANY_ORDER = "wait(); pthread_mutex_lock(&lock); *p->sum += sum; pthread_mutex_unlock(&lock);"
AT_ONCE = "const real before = *p->sum; wait(); *(volatile real *)p->sum = before + sum;"
IN_PARTS = """    enum { PARTS = 4 };
    real sum = 0;
    part parts[PARTS];
    pthread_t threads[PARTS];
    for (int t = 0; t < PARTS; t++) {
        parts[t] = (part){net, output, count * t / PARTS, count * (t + 1) / PARTS, &sum};
        pthread_create(&threads[t], NULL, add, &parts[t]);
    }
    for (int t = 0; t < PARTS; t++) pthread_join(threads[t], NULL);
    return sum / (real)count;
"""


def by_threads(add: str) -> list[tuple[str, str]]:
    return [(MEAN_BEGINS, MEAN_BEGINS + PARTS.replace("ADD", add)), (MEAN, IN_PARTS)]


def alone(port: Path) -> Path:
    """The port without its rungs, which take long to build."""
    manifest = port / "port.toml"
    manifest.write_text(manifest.read_text().split("# The ladder")[0])
    return port


def unset(size: str, value: str = "*sum") -> list[tuple[str, str]]:
    """Sums of the descent in an array of `size` bytes that nobody sets to zero."""
    return [
        (
            "const int64_t inputs = net->layers[k], outputs = net->layers[k + 1];\n"
            "    for (int64_t m = 0; m < inputs; m++) {\n",
            "const int64_t inputs = net->layers[k], outputs = net->layers[k + 1];\n"
            f"    real *sums = malloc({size});\n"
            "    for (int64_t m = 0; m < inputs; m++) {\n",
        ),
        (
            "real sum = 0; /* over the batch, before alpha */",
            f"real *at = sums + m * outputs + n, sum = {value};",
        ),
        (
            "descend(net, k, inputs * outputs + n, sum);\n    }\n",
            "descend(net, k, inputs * outputs + n, sum);\n    }\n    free(sums);\n",
        ),
    ]


LARGE = "(size_t)64 << 20"  # always fresh from the system, which gives zeros
SMALL = "(size_t)(inputs * outputs) * sizeof *sums"
IS_FILLED = "memory that nobody wrote is filled with it"

# name: (patches of the C port, a part of the reason)
FAULTS = {
    "unset-large": (unset(LARGE, "*at"), "has other numbers: " + WHY),
    "unset-small": (unset(SMALL, "*at"), IS_FILLED),
    # Right where it happens to be positive, which it is the first time.
    "unset-compared": (unset(LARGE, "*at < 0 ? 1 : 0"), "is right, and this is the second: " + WHY),
    "given-back": (
        [
            (
                "    free(memory);\n    return BACKPROP_OK;\n}\n\n/* An ensemble",
                "    free(memory);\n"
                "    error_out[0] += *(volatile real *)&memory[numbers + 2 * units];\n"
                "    return BACKPROP_OK;\n}\n\n/* An ensemble",
            )
        ],
        "not reproducible: ",
    ),
    "unwritten": (
        [
            (
                "memcpy(state_out + (size_t)c * numbers, now, numbers * sizeof *now);",
                "memcpy(state_out + (size_t)c * numbers, now, (numbers - 1) * sizeof *now);",
            )
        ],
        "got nan, expected ",
    ),
    "left-over": (
        [(MEAN, LEFT_OVER)],
        "not reproducible: the second answer to the same request has other numbers: " + WHY,
    ),
    "race": (by_threads(AT_ONCE), "not reproducible: "),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_right_by_luck_fails(
    name: str, conformance: Conformance, patched_c: PatchedC
) -> None:
    patches, says = FAULTS[name]
    # Of many errors: a race may spoil a few of them in the same way twice.
    done = conformance(alone(patched_c(name, *patches)), cases="mini-batch-step-2")
    assert done.returncode == 1
    assert [v["status"] for v in done.verdicts(name)] == ["FAIL", "FAIL"]
    for verdict in done.verdicts(name):
        assert says in verdict["reason"]
        assert (verdict["repeat"] is not None) == ("not reproducible" in verdict["reason"])
        if verdict["repeat"]:
            assert verdict["repeat"]["says"] in " ".join(verdict["explanation"].split())
    if "not reproducible" in says:
        assert "; not reproducible" in " ".join(done.stdout.split())


def test_a_sum_in_another_order_passes_with_a_note(
    conformance: Conformance, patched_c: PatchedC
) -> None:
    port = alone(patched_c("order", *by_threads(IN_ANY_ORDER)))
    cases = "bias-step momentum-step l2-step adam-step tanh-step relu-step"
    done = conformance(port, cases=cases)
    assert done.returncode == 0, done.stdout
    assert done.statuses("order") == {"PASS"}
    noted = [v for v in done.verdicts("order") if v["repeat"]]
    assert noted
    for verdict in noted:
        pattern = r"not reproducible: [\d.]+ ulps? \(error in the run at iteration \d+\)"
        assert re.fullmatch(pattern, verdict["reason"])
        assert verdict["margin"] < 1
    most = max(v["repeat"]["ulps"] for v in noted)
    assert f"not reproducible: {most:.3g} ulp" in done.stdout
    strict = conformance(port, cases=cases, options=("--no-timing", "--strict"))
    assert strict.returncode == 1
    [example, *_] = [v for v in strict.verdicts("order") if v["status"] == "FAIL"]
    assert "and STRICT=1 demands the same bits" in example["reason"]
    assert example["explanation"].endswith(f"CASES={example['case']} STRICT=1")


def test_python_memory_is_never_zero_by_luck(conformance: Conformance, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    # 64 MB are fresh from the system each time.
    sums = "sums = np.empty(8_000_000)[: syn.size].reshape(syn.shape)\n    sums += descent"
    module = PYTHON_MODULE.replace("SABOTAGE", "pass").replace(
        "def step(", f"def add(syn, descent):\n    {sums}\n    return syn + sums\n\ndef step("
    )
    module = module.replace(
        "state[1] + alpha * l1.mT @ l2_delta", "add(state[1], alpha * l1.mT @ l2_delta)"
    )
    assert module.count("add(") == 2
    (folder / "port.py").write_text(module)
    manifest = PYTHON_MANIFEST.replace("CAPABILITIES", '["alpha", "layers"]')
    (folder / "port.toml").write_text(manifest)
    [verdict] = conformance(folder).verdicts("empty")
    assert verdict["status"] == "FAIL"
    assert IS_FILLED in verdict["reason"]


# Each answer of `run` in turn, also of processes that were started again.
TURN = """if op == 'train':
    open(sys.argv[1], 'a').write('.')
    turn = len(open(sys.argv[1]).read())
"""
NEXT = "answer['checkpoints'][1]['error'] = math.nextafter(answer['checkpoints'][1]['error'], 1)"
RUN = "if op == 'train' and turn "

# name: (what is done at which turn, status, the reason, whether it is a note)
ANSWERS = {
    "next": (RUN + f"> 1: {NEXT}", "PASS", "1 ulp (error in the run at iteration 1)"),
    "second-wrong": (
        RUN + "> 1: answer['checkpoints'][1]['error'] += 1e-9",
        "FAIL",
        f"the first answer to the same request is right, and this is the second: {WHY}",
    ),
    "second-dies": (
        RUN + "== 2: os.abort()",
        "CRASH",
        f"the first answer to the same request is right, and this is the second: {WHY}",
    ),
    "second-declines": (
        RUN + "== 2: answer = {'id': answer['id'], 'unsupported': 'no'}",
        "FAIL",
        f"the first answer to the same request is right, and this is the second: {WHY}",
    ),
    "first-wrong": (
        RUN + "== 1: answer['checkpoints'][1]['error'] += 1e-9",
        "FAIL",
        f"the second answer to the same request is right: {WHY}",
    ),
    "first-dies": (
        RUN + "== 1: os.abort()",
        "CRASH",
        f"the second answer to the same request is right: {WHY}",
    ),
    "first-garbage": (
        RUN + "== 1: del answer['checkpoints']",
        "GARBAGE",
        f"the second answer to the same request is right: {WHY}",
    ),
    "dies-after-garbage": (
        RUN + "== 1: del answer['checkpoints']\n" + RUN + "== 2: os.abort()",
        "GARBAGE",
        f"asked a second time, it is CRASH: {WHY}",
    ),
    # Wrong for another reason, and the order of its sums may differ.
    "wrong-next": (
        "if op == 'train': answer['checkpoints'][0]['error'] += 1\n" + RUN + f"> 1: {NEXT}",
        "FAIL",
        "1 ulp (error in the run at iteration 1)",
    ),
    "wrong": ("if op == 'train': answer['checkpoints'][0]['error'] += 1", "FAIL", None),
    "dies": ("if op == 'train': print(turn, file=sys.stderr); os.abort()", "CRASH", None),
    "right": ("", "PASS", None),
}


@pytest.fixture
def answers(conformance: Conformance, make_port: MakePort) -> Done:
    """A run of all the ports in ANSWERS on one case."""
    ports = []
    for name, (sabotage, _, _) in ANSWERS.items():
        ports.append(make_port(name, TURN + sabotage, NOTING))
    return conformance(*ports)


def test_a_second_answer_that_is_different_is_told(answers: Done) -> None:
    for name, (_, status, says) in ANSWERS.items():
        [verdict] = answers.verdicts(name)
        assert verdict["status"] == status, name
        if says is None:
            assert verdict["repeat"] is None, name
            assert "not reproducible" not in verdict["reason"], name
        else:
            assert verdict["repeat"]["says"] == f"not reproducible: {says}", name
            assert verdict["reason"].endswith(verdict["repeat"]["says"]), name
            assert (verdict["repeat"]["ulps"] == 1) == says.startswith("1 ulp"), name


def at_most(folder: Path, iterations: int) -> Path:
    """The case one-step with more iterations."""
    case = folder / "longer.toml"
    text = (CASES / "one-step.toml").read_text().replace('"one-step"', '"longer"')
    case.write_text(text.replace("iterations = 1", f"iterations = {iterations}"))
    return case


def test_a_long_case_is_asked_again_if_it_was_quickly_wrong(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    beside = f"{RUN}== 1: answer['checkpoints'][1]['error'] += 1e-9"
    right = make_port("right", TURN, NOTING)
    wrong = make_port("wrong", TURN + beside, NOTING)
    slow = make_port("slow", f"{TURN}time.sleep(0.8)\n{beside}", NOTING)
    for port, times, says in ((right, 1, False), (wrong, 2, True), (slow, 1, False)):
        log = notes_of(port)
        log.unlink(missing_ok=True)
        done = conformance(port, cases=at_most(tmp_path, 31))
        assert len(log.read_text()) == times, done.stdout + done.stderr
        [verdict] = done.verdicts(port.name)
        assert ("not reproducible" in verdict["reason"]) == says
    log = notes_of(right)
    log.unlink()
    conformance(right, cases=at_most(tmp_path, 30))
    assert len(log.read_text()) == 2


def test_resuming_keeps_a_note_unless_it_is_strict(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    port = make_port("p", f"{TURN}{RUN}% 2 == 0: {NEXT}", NOTING)
    assert conformance(port).verdicts("p")[0]["repeat"]["ulps"] == 1
    kept = conformance(port, options=("--no-timing", "--resume"))
    assert "resumed: 1 verdicts" in kept.stderr
    assert kept.verdicts("p")[0]["repeat"]["ulps"] == 1
    strict = conformance(port, options=("--no-timing", "--resume", "--strict"))
    assert "resumed: 0 verdicts" in strict.stderr
    assert strict.verdicts("p")[0]["status"] == "FAIL"
    assert strict.returncode == 1


def test_a_strict_failure_can_be_known(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    port = make_port("p", f"{TURN}{RUN}% 2 == 0: {NEXT}", NOTING)
    with (port / "port.toml").open("a") as file:
        file.write('\n[[known_failure]]\ncase = "one-step"\nreason = "atomics"\n')
        file.write('status = "FAIL"\nmessage = "not reproducible"\n')
    strict = conformance(port, make_port("q"), options=("--no-timing", "--strict"))
    assert strict.returncode == 0
    assert strict.statuses("p") == {"XFAIL"}
    # Without that option it does not fail, so the manifest is wrong.
    assert conformance(port).statuses("p") == {"FAIL"}


def test_a_note_is_in_every_table(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    port = make_port("p", f"{TURN}{RUN}% 2 == 0: {NEXT}", NOTING)
    junit, results = tmp_path / "junit.xml", tmp_path / "results.json"
    done = conformance(port, options=("--no-timing", "-v", "--junit", str(junit)))
    assert done.returncode == 0
    [row] = [line for line in done.stdout.splitlines() if line.startswith("  p ")]
    assert re.fullmatch(r"  p  PASS  1  worst \S+ of tolerance  not reproducible: 1 ulp", row)
    said = "not reproducible: 1 ulp (error in the run at iteration 1)"
    assert f"PASS p, one-step float64: {said}" in done.stdout
    [told] = ET.parse(junit).iter("property")
    assert (told.get("name"), told.get("value")) == ("float64", said)

    def command(*words: str | Path) -> str:
        line = [sys.executable, "-m", "conformance", *map(str, words)]
        run = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
        return run.stdout

    merged = tmp_path / "merged.json"
    table = command("merge", results, "--json", merged)
    assert re.search(rf"PASS p, one-step float64 A\S*: {re.escape(said)}", table)
    [cell] = json.loads(merged.read_text())["cells"]
    assert cell["repeat"] == {"says": said, "ulps": 1.0}
    command("report", results, "--folder", tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    assert said in page
    assert ">PASS, not reproducible: 1 ulp<" in page
    summary = (tmp_path / "report" / "summary.md").read_text()
    assert "| `p` | PASS, not reproducible: 1 ulp |" in summary


def test_a_timed_process_has_its_memory_as_the_system_gives_it(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    case = tmp_path / "timed.toml"
    text = (CASES / "one-step.toml").read_text()
    case.write_text(text.replace("one-step", "timed") + "\n[timing]\niterations = [0, 1]\n")
    tell = "[len(request['checkpoints']), os.environ.get('MALLOC_PERTURB_')]"
    told = f"if op == 'train': open(sys.argv[1], 'a').write(json.dumps({tell}) + chr(10))"
    port = make_port("p", told, NOTING)
    done = conformance(port, cases=case, options=())
    assert done.returncode == 0, done.stdout
    asked = [json.loads(line) for line in notes_of(port).read_text().splitlines()]
    judged = [fill for checkpoints, fill in asked if checkpoints == 2]
    timed = {fill for checkpoints, fill in asked if checkpoints == 1}
    assert (judged, timed) == ([str(memory.FILLS[0])] * 2, {None})


def test_what_a_manifest_says_of_the_allocator_does_not_switch_filling_off() -> None:
    given = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=9", "MALLOC_PERTURB_": "0", "A": "b"}
    code = "import ctypes; libc = ctypes.CDLL(None); libc.malloc.restype = ctypes.c_void_p\n"
    code += "new = lambda: ctypes.string_at(libc.malloc(100), 99)\n"
    code += "print({*new()} == {0x7F}, __import__('os').environ['A'])\n"
    # Given back and handed out again.
    code += "at = libc.malloc(99); ctypes.memset(at, 1, 99); libc.free(ctypes.c_void_p(at))\n"
    code += "print({*new()} == {0x7F})"
    env = memory.filled(given) | {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True b\nTrue\n"
