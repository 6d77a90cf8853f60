"""What a message says of a port's own words, of its answers, and of numbers without a size."""

import json
import re

import pytest

from conformance.process.words import LONGEST, Words, killed_by
from conformance.selftest.tests.conftest import MANIFEST, Conformance, MakePort, PatchedC
from conformance.selftest.tests.test_messages import END
from conformance.wire.excerpt import excerpt

LUA = """
if op == 'train':
    print('lua: port.lua:3: attempt to index a nil value', file=sys.stderr)
    print('stack traceback:', file=sys.stderr)
    for n in range(20): print('\\tport.lua:%d: in function' % n, file=sys.stderr)
    print('\\x1b[31m\\x07\\t[C]: in ?', file=sys.stderr)
    sys.exit(1)
"""


def test_of_a_crash_the_first_words_and_the_last_are_shown(
    conformance: Conformance, make_port: MakePort
) -> None:
    done = conformance(make_port("lua", LUA), options=("--no-timing", "-vv"))
    [verdict] = done.verdicts("lua")
    said = [
        "asked for train: ended with exit code 1 without answering; it said:",
        "    lua: port.lua:3: attempt to index a nil value",
        "    stack traceback:",
        "    ...",
        "    port.lua:18: in function",
        "    port.lua:19: in function",
        "    ?[31m? [C]: in ?",
    ]
    assert verdict["reason"].splitlines() == said
    assert "\n".join(said) in verdict["explanation"]
    assert "\n".join(said) in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.startswith("  lua "))
    assert "without answering; it said: lua: port.lua:3: attempt to" in " ".join(
        done.stdout.split()
    )
    assert "CRASH" in row
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", done.stdout)


def test_the_line_that_names_an_error_is_the_one_in_short(
    conformance: Conformance, make_port: MakePort
) -> None:
    code = "if op == 'step':\n    print('warming up', file=sys.stderr)\n    1 / 0"
    done = conformance(make_port("p", code))
    assert "it said: ZeroDivisionError: division by zero" in " ".join(done.stdout.split())


def test_words_before_the_request_do_not_hide_its_own(
    conformance: Conformance, make_port: MakePort
) -> None:
    code = "for n in range(9): print('noise', n, file=sys.stderr)\n" + LUA.replace("20", "1000")
    noisy = f"if op == 'hello':\n    for n in range(999): print('start', n, file=sys.stderr)\n{LUA}"
    done = conformance(make_port("noisy", noisy), make_port("flood", code))
    lines = done.verdicts("noisy")[0]["reason"].splitlines()
    assert lines[1] == "    lua: port.lua:3: attempt to index a nil value"
    assert lines[-1].endswith("[C]: in ?")
    lines = done.verdicts("flood")[0]["reason"].splitlines()
    assert lines[1:3] == ["    noise 0", "    noise 1"]
    assert len(lines) == 7


@pytest.mark.parametrize("size", [1, 3, 5, 6, 500])
def test_no_line_is_shown_twice(size: int) -> None:
    words = Words()
    words.add(b"earlier\n")
    words.begin()
    words.add("".join(f"line {n}\n\n" for n in range(size)).encode())
    _, *lines = str(words).splitlines()
    shown = [f"    line {n}" for n in range(size)]
    assert lines == (shown if size <= 5 else [*shown[:2], "    ...", *shown[-3:]])


def test_the_end_of_a_long_line_is_kept() -> None:
    words = Words()
    words.add(b"cannot load " + b"x" * 1000 + b": no such symbol\n")
    [_, line] = str(words).splitlines()
    assert line.startswith("    cannot load xxx")
    assert line.endswith("xxx: no such symbol")
    assert len(line) < LONGEST + 10


def test_a_library_that_cannot_be_loaded_says_why(
    conformance: Conformance, patched_c: PatchedC
) -> None:
    code = END.replace("return BACKPROP_OK;", "extern int absent(void); return absent();")
    done = conformance(patched_c("mine", (END, code)))
    reason = done.verdicts("mine")[0]["reason"].splitlines()
    assert reason[0] == "on start: ended with exit code 1 without answering; it said:"
    assert re.fullmatch(r"    cannot load /\S+: undefined symbol: absent", reason[1])


def test_a_library_that_the_build_does_not_make_is_named(
    conformance: Conformance, patched_c: PatchedC
) -> None:
    port = patched_c("mine")
    manifest = port / "port.toml"
    text = manifest.read_text()
    [library] = re.findall(r'^library = "\{build\}/(\S+)"', text.partition("[[rung]]")[0], re.M)
    manifest.write_text(
        text.replace(f'library = "{{build}}/{library}"', 'library = "{build}/libport.so"', 1)
    )
    [reason] = {v["reason"] for v in conformance(port).verdicts("mine")}
    said = "run.library: {build}/libport.so does not exist after the build, which left "
    assert reason.startswith(said)
    assert library in reason.removeprefix(said).split(", ")


def test_what_a_library_lacks_is_not_what_the_port_says(
    conformance: Conformance, patched_c: PatchedC
) -> None:
    done = conformance(patched_c("mine", ("int EXPORT(backprop_step)", "int EXPORT(step)")))
    for verdict in done.verdicts("mine"):
        bits = verdict["dtype"][-2:]
        assert re.fullmatch(rf"\S+\.so does not export backprop_step_f{bits}", verdict["reason"])


def test_a_first_call_that_crashes_may_be_the_layout(
    conformance: Conformance, patched_c: PatchedC
) -> None:
    source = (patched_c("plain") / "backprop.c").read_text()
    head = source[source.index("int EXPORT(backprop_step)") :]
    head = head[: head.index("{") + 1]
    done = conformance(patched_c("mine", (head, f"{head} *(volatile int *)1 = 1;")))
    [reason] = {v["reason"].split(": ", 1)[1] for v in done.verdicts("mine")}
    assert reason == (
        "was killed by SIGSEGV, which means that it used memory that is not its own; "
        "look at the layout of backprop_settings first"
    )


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (6, "killed by SIGABRT, which means that it called abort, as a failed assertion does"),
        (8, "killed by SIGFPE, which means that it divided a whole number by zero"),
        (1, "killed by SIGHUP"),
        (63, "killed by signal 63"),
    ],
)
def test_a_signal_is_told_by_its_name_and_meaning(number: int, said: str) -> None:
    assert killed_by(number) == said


ANSWERS = {
    "answer = {'id': answer['id'], 'error': 'unknown setting'}": (
        'the answer to "step" has no "l"; it was {"id": 1, "error": "unknown setting"}; '
        'to decline a request, answer {"id": 1, "unsupported": "why"}'
    ),
    "answer = {'id': answer['id'], 'unsupported': True}": (
        '"unsupported" must be a sentence, not true'
    ),
    "answer = {'id': answer['id'], 'failure': ['x']}": '"failure" must be a sentence, not ["x"]',
    r"print('debug\t3')": (
        r'this line on stdout is not JSON: "debug\t3"; '
        "only answers may go to stdout, print other text to stderr"
    ),
    'print(\'{"id": 1, "l": [-nan, 0.5]}\', flush=True)\n    continue': (
        'the answer to "step" is not JSON: after 16 characters, it cannot go on with "-nan, 0.5]}"'
    ),
    "print('{\"id\": 1, ', flush=True)\n    continue": (
        'the answer to "step" is not JSON: after 10 characters, it cannot end there'
    ),
}


@pytest.mark.parametrize("code", ANSWERS)
def test_an_answer_of_the_wrong_form_is_shown(
    code: str, conformance: Conformance, make_port: MakePort
) -> None:
    [verdict] = conformance(make_port("p", f"if op == 'step':\n    {code}")).verdicts("p")
    assert (verdict["status"], verdict["reason"]) == ("GARBAGE", ANSWERS[code])


def test_no_value_makes_an_excerpt_long_or_unprintable() -> None:
    deep: object = 1
    for _ in range(900):
        deep = [deep]
    wide = {f"k{n}\x1b": ["\ud800" * 999] * 99 for n in range(99)}
    for value in (deep, wide, "x" * 10**6, b"\xff\x1b" * 10**6, 10**300, float("nan")):
        found = excerpt(value)
        assert 0 < len(found) < 170
        assert found.isprintable()
    assert excerpt({"a": [1, 2.5, None, True]}) == json.dumps({"a": [1, 2.5, None, True]})


DECLINES = "if op != 'hello' and 'batch_size' in request:\n    answer = {'id': answer['id'], "
DECLINES += "'unsupported': 'the setting batch_size'}"
LISTS = MANIFEST.replace('"layers"', '"layers", "mini-batch"')


def test_what_a_port_lists_and_declines_is_told(
    conformance: Conformance, make_port: MakePort
) -> None:
    port = make_port("mine", DECLINES, LISTS)
    done = conformance(port, cases="one-step mini-batch-step momentum-step")
    assert done.returncode == 0
    assert '      declined 1 case that it lists: "the setting batch_size"\n' in done.stdout
    assert "1 case skipped" in done.stdout
    wrong = make_port("wrong", f"{DECLINES}\nif 'l' in answer: answer['l'][0][0][0] = 9.0", LISTS)
    done = conformance(wrong, cases="one-step mini-batch-step")
    assert '      declined 1 case that it lists: "the setting batch_size"\n' in done.stdout


def test_where_all_is_declined_its_own_words_come_first(
    conformance: Conformance, make_port: MakePort
) -> None:
    port = make_port("mine", DECLINES, LISTS)
    done = conformance(port, cases="mini-batch")
    said = " ".join(done.stdout.split())
    assert re.search(
        r"not run: mine: declined \d+ cases? that it lists: \"the setting batch_size\"; "
        r"also needs \w",
        said,
    )


def test_a_capability_that_is_misspelt_is_guessed(
    conformance: Conformance, make_port: MakePort
) -> None:
    done = conformance(make_port("p", manifest=MANIFEST.replace('"layers"', '"minibatch"')))
    assert done.returncode == 2
    assert done.stderr.endswith("(found 'minibatch'); did you mean mini-batch?\n")


NUMBERS = {
    "nan": (
        "if op == 'step': answer['l'][0][0][0] = math.nan",
        "first at l1: got nan: nothing was written there, or the computation gave NaN",
        "  got        nan: nothing was written there, or the computation gave NaN",
    ),
    "inf": (
        "if op == 'step': answer['l'][0][0][0] = math.inf",
        "first at l1: got inf: the computation overflowed, or divided by zero",
        "  got        inf: the computation overflowed, or divided by zero",
    ),
    "digits": (
        "if op == 'train': answer['checkpoints'][0]['weights'][0][0][0] *= 1.0001",
        "first at syn0 in the free run: must come back exactly as they were sent",
        "; must come back exactly as they were sent",
    ),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_without_a_size_is_told_in_words(
    name: str, conformance: Conformance, make_port: MakePort
) -> None:
    code, row, line = NUMBERS[name]
    done = conformance(make_port(name, code), cases="one-step")
    assert row in " ".join(done.stdout.split())
    assert re.search(rf"{re.escape(line)}$", done.stdout, re.M)
    assert ("  deviation" in done.stdout) == (name == "digits")
    [verdict] = done.verdicts(name)
    for words in ("times", "x tolerance", "nan ulps"):
        assert words not in done.stdout + verdict["reason"]


def test_one_update_is_one(conformance: Conformance, make_port: MakePort) -> None:
    code = "if op == 'train': answer['checkpoints'][1]['error'] += 1"
    assert "in the free run, after 1 update\n" in conformance(make_port("p", code)).stdout
