"""Every way for a port to break ends in its status, and the ports beside it are not harmed."""

import time
from pathlib import Path

import pytest

from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import CASES, Conformance, MakePort

# name: (sabotage of each answer, status, a part of the reason)
BROKEN = {
    "segfault": ("if op == 'train': os.kill(os.getpid(), signal.SIGSEGV)", "CRASH", "SIGSEGV"),
    "abort": ("if op == 'train': os.abort()", "CRASH", "SIGABRT"),
    "silent_exit": ("if op == 'train': sys.exit(0)", "CRASH", "exit code 0 without answering"),
    "traceback": ("if op == 'step': raise KeyError('oops')", "CRASH", "KeyError: 'oops'"),
    "hang": ("if op == 'step': time.sleep(86400)", "TIMEOUT", "no answer within 2 s"),
    "hang_at_start": ("if op == 'hello': time.sleep(86400)", "TIMEOUT", "on start: no answer"),
    "dies_at_start": ("sys.exit(3)", "CRASH", "on start: ended with exit code 3"),
    "truncated": (
        "if op == 'step': print(json.dumps(answer)[:50], flush=True); sys.exit(0)",
        "GARBAGE",
        "not JSON",
    ),
    "no_newline": (
        "if op == 'step': print('{', end='', flush=True); sys.exit(0)",
        "CRASH",
        "without answering",
    ),
    "prose": ("if op == 'step': print('training ...', flush=True)", "GARBAGE", "not JSON"),
    "not_utf8": (
        r"if op == 'step': sys.stdout.buffer.write(b'\xff\xfe\n'); sys.stdout.flush()",
        "GARBAGE",
        "not JSON",
    ),
    "noise_after": (
        r"if op == 'hello': print(json.dumps(answer) + '\nnoise', flush=True)",
        "GARBAGE",
        "without being asked",
    ),
    "wrong_id": ("if op == 'step': answer['id'] += 1", "GARBAGE", "answer has id"),
    "missing_key": ("if op == 'step': del answer['delta']", "GARBAGE", 'has no "delta"'),
    "extra_key": ("if op == 'step': answer['x'] = 1", "GARBAGE", 'unknown key "x"'),
    "too_few": ("if op == 'train': answer['checkpoints'].pop()", "GARBAGE", "1 entry, not 2"),
    "wrong_shape": ("if op == 'step': answer['l'][0].pop()", "GARBAGE", "l[0] is not 3 x 2"),
    "flat": ("if op == 'step': answer['l'][0] = [1.0] * 6", "GARBAGE", "l[0] is not 3 x 2"),
    "strings": ("if op == 'train': answer['checkpoints'][0]['error'] = '1'", "GARBAGE", '"1"'),
    "booleans": ("if op == 'train': answer['checkpoints'][0]['error'] = True", "GARBAGE", "true"),
    "nan": ("if op == 'step': answer['l'][1][0][0] = math.nan", "FAIL", "l2[0, 0]"),
    "null": ("if op == 'step': answer['l'][1][0][0] = None", "FAIL", "got nan"),
    "infinity": ("if op == 'train': answer['checkpoints'][1]['error'] = math.inf", "FAIL", "inf"),
    "says_failure": (
        "if op == 'train': answer = {'id': answer['id'], 'failure': 'no memory'}",
        "FAIL",
        "the port says: no memory",
    ),
    "says_unsupported": (
        "if op == 'train': answer = {'id': answer['id'], 'unsupported': 'too large'}",
        "SKIP",
        "too large",
    ),
    "other_format": ("if op == 'hello': answer['format'] = 9", "GARBAGE", "speaks format 9"),
}


def test_each_broken_port_gets_its_status_and_no_other_is_harmed(
    conformance: Conformance, make_port: MakePort
) -> None:
    ports = [make_port(name, sabotage) for name, (sabotage, _, _) in BROKEN.items()]
    # One healthy port among the broken ones, and one behind them.
    ports.insert(3, make_port("healthy"))
    ports.append(make_port("healthy_too"))
    started = time.monotonic()
    done = conformance(*ports)
    assert done.returncode == 1
    assert time.monotonic() - started < patience(60)
    assert "Traceback" not in done.stderr
    for name, (_, status, reason) in BROKEN.items():
        found = done.verdicts(name)
        assert [v["status"] for v in found] == [status], name
        assert reason in found[0]["reason"], name
    for name in ("healthy", "healthy_too"):
        assert [v["status"] for v in done.verdicts(name)] == ["PASS"]


def test_after_a_crash_the_next_case_is_run(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    cases = tmp_path / "cases"
    cases.mkdir()
    text = (CASES / "one-step.toml").read_text()
    for name in ("a", "b", "c"):
        (cases / f"{name}.toml").write_text(text.replace("one-step", name))
    crashing = make_port(
        "crashing", "if op == 'train' and request['weights'][0][0][0] == 0.25: os.abort()"
    )
    b = cases / "b.toml"
    b.write_text(b.read_text().replace("[[0.5,", "[[0.25,"))
    done = conformance(crashing, cases=cases)
    found = {v["case"]: v["status"] for v in done.verdicts("crashing")}
    assert found == {"a": "PASS", "b": "CRASH", "c": "PASS"}


@pytest.mark.parametrize(
    ("known", "status"),
    [
        ('status = "CRASH"\nmessage = "SIGABRT"', "XFAIL"),
        ('status = "CRASH"\nmessage = "SIGSEGV"', "FAIL"),
        ('status = "TIMEOUT"\nmessage = "SIGABRT"', "FAIL"),
    ],
)
def test_known_failures_match_status_and_message(
    conformance: Conformance, make_port: MakePort, known: str, status: str
) -> None:
    folder = make_port("p", "if op == 'train': os.abort()")
    entry = f'\n[[known_failure]]\ncase = "one-step"\nreason = "flaky"\n{known}\n'
    with (folder / "port.toml").open("a") as file:
        file.write(entry)
    done = conformance(folder, make_port("healthy"))
    assert done.verdicts("p")[0]["status"] == status
    assert done.returncode == (0 if status == "XFAIL" else 1)


def test_a_skip_is_no_known_failure_that_did_not_occur(
    conformance: Conformance, make_port: MakePort
) -> None:
    away = "if op == 'hello': answer = {'id': answer['id'], 'unsupported': 'no GPU here'}"
    folder = make_port("p", away)
    with (folder / "port.toml").open("a") as file:
        file.write('\n[[known_failure]]\ncase = "one-step"\nreason = "flaky"\n')
        file.write('status = "CRASH"\nmessage = "SIGABRT"\n')
    done = conformance(folder, make_port("healthy"))
    assert done.returncode == 0
    [verdict] = done.verdicts("p")
    assert (verdict["status"], verdict["reason"]) == ("SKIP", "on start: no GPU here")


def test_a_wrong_step_is_not_forgotten(conformance: Conformance, make_port: MakePort) -> None:
    wrong = "if op == 'step': answer['l'][0][0][0] += 1\nif op == 'train': "
    evasive = make_port(
        "evasive", wrong + "answer = {'id': answer['id'], 'unsupported': 'too slow'}"
    )
    dying = make_port("dying", wrong + "sys.exit(1)")
    done = conformance(evasive, dying)
    assert done.returncode == 1
    for name, then in (("evasive", "then SKIP: too slow"), ("dying", "then CRASH: ")):
        [verdict] = done.verdicts(name)
        assert verdict["status"] == "FAIL"
        assert verdict["reason"].startswith("l1[0, 0] in one step")
        assert then in verdict["reason"]


def test_what_a_port_says_cannot_change_the_terminal(
    conformance: Conformance, make_port: MakePort
) -> None:
    says = r"if op == 'train': answer = {'id': answer['id'], 'failure': '\x1b[31m[bold]\r\n x'}"
    done = conformance(make_port("p", says))
    assert "\x1b" not in done.stdout
    assert "the port says: ?[31m[bold]?? x" in done.stdout


def test_a_known_failure_that_does_not_occur_fails(
    conformance: Conformance, make_port: MakePort
) -> None:
    folder = make_port("p")
    with (folder / "port.toml").open("a") as file:
        file.write('\n[[known_failure]]\ncase = "one-step"\nreason = "r"\n')
        file.write('status = "CRASH"\nmessage = "SIGABRT"\n')
    done = conformance(folder)
    [verdict] = done.verdicts("p")
    assert verdict["status"] == "FAIL"
    assert "known failure did not occur" in verdict["reason"]
    assert done.returncode == 1
