"""Ports that do harm, by malice or by mistake, and how each must end.

`SCRIPTED` is code that the scripted port runs before each answer, `PYTHON` are modules, and
`C` are replacements in the C port.
"""

from dataclasses import dataclass
from textwrap import indent

# Stands for a number of seconds by which a sleeping process is recognised.
MARK = "MARK"


@dataclass(frozen=True)
class Hostile:
    """How a port must end: its status, and a part of the reason."""

    code: str
    status: str
    reason: str = ""
    time_limit_s: float = 5.0
    memory_limit_mb: int = 4096


def on(op: str, *lines: str) -> str:
    """Code for requests of this kind only."""
    return f"if op == '{op}':\n" + indent("\n".join(lines), "    ")


def saying(op: str, place: str, text: str) -> str:
    """The right answer, with another JSON text (an expression) in one place."""
    return on(
        op,
        f"answer{place} = 'HERE'",
        f"print(json.dumps(answer).replace('\"HERE\"', {text}), flush=True)",
        "continue",
    )


def beside(code: str) -> str:
    """Code that runs in a thread from the greeting on."""
    return on(
        "hello",
        "import threading",
        f"threading.Thread(target=exec, args=({code!r}, globals()), daemon=True).start()",
    )


HELD = "held = globals().setdefault('held', []); held.append(answer)"
RENAMED = "answer = {**held[max(0, len(held) - 2)], 'id': answer['id']}"
ERROR = "['checkpoints'][1]['error']"
GREET = "print(json.dumps(answer), flush=True)"
FOREVER = "time.sleep(86400)"
FLOOD = "while True: os.write(2, b'x' * 2**16)"
QUIET = "stdin=-3, stdout=-3, stderr=-3"
# Up to 2 GB, so that a test that fails does no harm.
EAT = "\n".join(
    [
        "import time",
        "eaten = []",
        "while len(eaten) < 128: eaten.append(b'x' * 2**24); time.sleep(0.005)",
        FOREVER,
    ]
)
TOO_MUCH = "used more than 200 MB of memory"

NOISE = {
    "noise_first": Hostile(on("hello", "print('starting')"), "GARBAGE", "not JSON"),
    "noise_between": Hostile(on("train", "print('epoch 1')"), "GARBAGE", "not JSON"),
    "noise_later": Hostile(
        on("hello", GREET, "time.sleep(0.2); print('ready', flush=True)", "continue"), "GARBAGE"
    ),
    "stderr_noise": Hostile(r"print('\xe9 \x1b[2J', file=sys.stderr)", "PASS"),
    "stderr_300_mb": Hostile(
        on("step", "for _ in range(300): os.write(2, b'x' * 2**20)"), "PASS", time_limit_s=20
    ),
    "stderr_endless": Hostile(on("step", FLOOD), "TIMEOUT", "no answer within", time_limit_s=1),
    "stderr_beside": Hostile(beside(FLOOD), "PASS"),
    "line_endless": Hostile(
        on("step", "while True: os.write(1, b'1' * 2**16)"), "GARBAGE", "is longer than 6"
    ),
    "line_1_gb": Hostile(
        on("step", "for _ in range(1024): os.write(1, b'[' * 2**20)"), "GARBAGE", "is longer than 6"
    ),
}

ANSWERS = {
    "id_missing": Hostile(on("step", "del answer['id']"), "GARBAGE", "with an id"),
    "id_wrong": Hostile(on("step", "answer['id'] -= 1"), "GARBAGE", "answer has id 0"),
    "id_true": Hostile(on("step", "answer['id'] = True"), "GARBAGE", "answer has id true"),
    "id_5000_digits": Hostile(saying("step", "['id']", "'9' * 5000"), "GARBAGE", "has id Infinity"),
    "previous": Hostile(
        on("step", HELD, "answer = held[max(0, len(held) - 2)]"), "GARBAGE", "has id 1, not 2"
    ),
    "previous_renamed": Hostile(
        on("step", HELD, RENAMED), "FAIL", "l1[0, 0] in one step from iteration 1"
    ),
    "step_for_train": Hostile(f"{HELD}\n{on('train', RENAMED)}", "GARBAGE", 'has no "checkpoints"'),
    "too_many": Hostile(on("train", "answer['checkpoints'] *= 2"), "GARBAGE", "4 entries, not 2"),
    "too_few": Hostile(on("train", "answer['checkpoints'].pop()"), "GARBAGE", "1 entry, not 2"),
    "text": Hostile(saying("train", ERROR, "'\"0.5\"'"), "GARBAGE", '"0.5", which is not a number'),
    "infinity": Hostile(saying("train", ERROR, "'Infinity'"), "FAIL", "got inf"),
    "exponent_999": Hostile(saying("train", ERROR, "'-1e999'"), "FAIL", "got -inf"),
    "400_digits": Hostile(saying("train", ERROR, "'9' * 400"), "FAIL", "got inf"),
    "5000_digits": Hostile(saying("train", ERROR, "'-' + '9' * 5000"), "FAIL", "got -inf"),
    "key_twice": Hostile(
        on("step", "print(json.dumps(answer)[:-1] + ', \"id\": 1}', flush=True)", "continue"),
        "GARBAGE",
        "a key stands twice",
    ),
    "nested_900": Hostile(saying("step", "['l']", "'[' * 900 + ']' * 900"), "GARBAGE"),
    "nested_30000": Hostile(
        saying("step", "['l']", "'[' * 30000 + ']' * 30000"), "GARBAGE", "not JSON"
    ),
    "surrogate_key": Hostile(on("step", r"answer['\ud800'] = 1"), "GARBAGE", 'an unknown key "?"'),
    "surrogate_bytes": Hostile(
        on("step", r"os.write(1, b'{\"\xed\xa0\x80\": 1}\n')"), "GARBAGE", "not JSON"
    ),
    "surrogate_words": Hostile(
        on("train", r"answer = {'id': answer['id'], 'failure': '\ud800 \x1b[2J'}"),
        "FAIL",
        "the port says: ? ?[2J",
    ),
    "surrogate_device": Hostile(on("hello", r"answer['device'] = '\udfff'"), "PASS"),
}

TIME = {
    "dies_at_start": Hostile("os._exit(9)", "CRASH", "on start: ended with exit code 9"),
    "hangs_at_start": Hostile(FOREVER, "TIMEOUT", "on start: no answer", time_limit_s=1),
    "just_in_time": Hostile(on("train", "time.sleep(1.4)"), "PASS", time_limit_s=6),
    "just_too_late": Hostile(on("train", "time.sleep(1.4)"), "TIMEOUT", "1 s", time_limit_s=1),
    "dribbles": Hostile(
        on("step", "while True: os.write(1, b'['); time.sleep(0.01)"), "TIMEOUT", time_limit_s=1
    ),
    "stops_itself": Hostile(
        on("step", "os.kill(os.getpid(), signal.SIGSTOP)"), "TIMEOUT", time_limit_s=1
    ),
    "deaf_to_signals": Hostile(
        on("train", "for s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)", FOREVER),
        "TIMEOUT",
        time_limit_s=1,
    ),
    "deaf_to_the_end": Hostile(
        on("hello", "import atexit", "atexit.register(time.sleep, 86400)"), "PASS"
    ),
}

PIPES = {
    "reads_no_more": Hostile(on("hello", GREET, FOREVER), "TIMEOUT", time_limit_s=1),
    "stdin_closed": Hostile(on("hello", GREET, "os.close(0)", FOREVER), "TIMEOUT", time_limit_s=1),
    "stdout_closed": Hostile(on("step", "os.close(1)", FOREVER), "CRASH", "closed its stdout"),
}

CHILDREN = {
    "heir_holds_pipes": Hostile(
        on("step", f"subprocess.Popen(['sleep', '{MARK}'])", "os._exit(0)"), "CRASH", "exit code 0"
    ),
    "heir_floods": Hostile(
        on("step", "if os.fork(): os._exit(0)", FLOOD), "CRASH", "exit code 0 without"
    ),
    "in_own_session": Hostile(
        on("hello", f"subprocess.Popen(['sleep', '{MARK}'], start_new_session=True, {QUIET})"),
        "PASS",
    ),
    "daemon": Hostile(
        on("hello", f"subprocess.run(['sh', '-c', 'setsid sleep {MARK} &'], {QUIET})"), "PASS"
    ),
    "daemon_unmarked": Hostile(
        on("hello", f"subprocess.run(['sh', '-c', 'env -i setsid sleep {MARK} &'], {QUIET})"),
        "PASS",
    ),
    # It forks and ends all the time, so that no process of it is met twice. Only the file shows
    # that it lives. It gives up in the end, so that a test that fails does not leave it
    # running.
    "runaway": Hostile(
        on(
            "hello",
            "if os.fork() == 0:",
            "    os.setsid(); os.closerange(0, 3)",
            "    beats = os.open('/dev/shm/beats-MARK', os.O_CREAT | os.O_WRONLY)",
            "    end = time.monotonic() + 60",
            "    while time.monotonic() < end:",
            "        if os.fork(): os._exit(0)",
            "        os.write(beats, b'.')",
            "        time.sleep(0.01)",
            "    os._exit(0)",
        ),
        "PASS",
    ),
}

MEMORY = {
    "eats": Hostile(on("step", EAT), "CRASH", TOO_MUCH, 10, 200),
    "eats_and_floods": Hostile(f"{beside(FLOOD)}\n{on('step', EAT)}", "CRASH", TOO_MUCH, 10, 200),
    "child_eats": Hostile(
        on("step", f"subprocess.run([sys.executable, '-c', {EAT!r}])"),
        "CRASH",
        TOO_MUCH,
        10,
        200,
    ),
}

FILES = {
    "empty_folder": Hostile(
        on(
            "hello",
            "import tempfile",
            "assert not os.listdir() and os.path.samefile('.', tempfile.gettempdir())",
        ),
        "PASS",
    ),
    "litters": Hostile(
        on(
            "hello",
            "os.makedirs('a/b'); open('a/b/c', 'w').close()",
            "os.symlink('/', 'a/root')",
            "os.chmod('a/b', 0); os.chmod('a', 0)",
            "for _ in range(1500): os.mkdir('d'); os.chdir('d')",
        ),
        "PASS",
    ),
}

SCRIPTED = NOISE | ANSWERS | TIME | PIPES | CHILDREN | MEMORY | FILES

START = """
import os
import sys
import time
import numpy as np
from reference.algorithm.network import step, train as right
"""
HEAD = "def train(X, y, syn, checkpoints, *, alpha):\n"
RIGHT = "right(X, y, syn, checkpoints, alpha=alpha)"


def training(*lines: str) -> str:
    """A module that does this and then trains."""
    body = "\n".join([*lines, f"yield from {RIGHT}"])
    return f"{START}{HEAD}{indent(body, '    ')}\n"


def giving(triple: str) -> str:
    """A module that gives something else for each n, error, weights."""
    return f"{START}{HEAD}    for n, error, weights in {RIGHT}: yield {triple}\n"


PYTHON = {
    "py_healthy": Hostile(giving("n, error, weights"), "PASS"),
    "py_import_raises": Hostile("1 / 0", "CRASH", "ZeroDivisionError"),
    "py_import_exits": Hostile("import sys\nsys.exit()", "CRASH", "exit code 0"),
    "py_exits": Hostile(training("os._exit(5)"), "CRASH", "exit code 5"),
    "py_prints": Hostile(
        "print('importing')\n" + training("print('training', flush=True); os.write(1, b'C')"),
        "PASS",
    ),
    "py_reads": Hostile(training("assert sys.stdin.read() == ''"), "PASS"),
    "py_none": Hostile(f"{START}{HEAD}    return None\n", "FAIL", "TypeError"),
    "py_text": Hostile(giving("n, error, [w.astype(str) for w in weights]"), "FAIL", "returned <U"),
    "py_objects": Hostile(
        giving("n, error, [w.astype(object) for w in weights]"), "FAIL", "object"
    ),
    "py_complex": Hostile(giving("n, error + 0j, weights"), "FAIL", "returned complex128"),
    "py_ragged": Hostile(giving("n, error, [[[1.0], [1.0, 2.0]]]"), "FAIL", "ValueError"),
    "py_raises_midway": Hostile(giving("(n, error, weights) if n < 1 else 1 / 0"), "FAIL", "Zero"),
    "py_too_few": Hostile(f"{START}{HEAD}    yield next({RIGHT})", "GARBAGE", "1 entry, not 2"),
    "py_endless": Hostile(
        training("while True: yield 0, 0.0, syn; time.sleep(1e-3)"), "TIMEOUT", time_limit_s=2
    ),
    "py_changes_X": Hostile(training("X += 1"), "FAIL", "changed its inputs"),
    "py_changes_weights": Hostile(training("syn[0][0, 0] += 1e-9"), "FAIL", "changed its inputs"),
    "py_changes_checkpoints": Hostile(training("checkpoints.reverse()"), "PASS"),
    "py_litters": Hostile(training("open('log.txt', 'w').write('x')"), "PASS"),
}

# name: (replacements in the source of the C port, status, reason)
C = {
    "c_changes_inputs": (
        [("int64_t iteration = 0;", "int64_t iteration = 0; ((real *)y)[0] = 0;")],
        "FAIL",
        "changed its inputs",
    ),
    "c_changes_checkpoints": (
        [("int64_t iteration = 0;", "int64_t iteration = ((int64_t *)checkpoints)[1] = 0;")],
        "FAIL",
        "changed its inputs",
    ),
    "c_writes_nothing": (
        [("memcpy(state_out + (size_t)c * numbers, now, numbers * sizeof *now);", "")],
        "FAIL",
        "got nan",
    ),
    "c_overruns": (
        [("int64_t iteration = 0;", "int64_t iteration = 0; error_out[checkpoint_count] = 0;")],
        "FAIL",
        "beyond the end of a buffer",
    ),
    "c_prints": (
        [
            ("#include <string.h>", "#include <string.h>\n#include <stdio.h>"),
            ("int64_t iteration = 0;", 'int64_t iteration = 0; puts("training");'),
        ],
        "PASS",
        "",
    ),
    "c_exits": (
        [("int64_t iteration = 0;", "int64_t iteration = 0; exit(3);")],
        "CRASH",
        "exit code 3",
    ),
}
