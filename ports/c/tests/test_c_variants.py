"""No false alarm and no miss: builds of the C port that must pass, and some that must not."""

from pathlib import Path

import pytest

from conformance.selftest.tests.conftest import CASES, Conformance, PatchedC

FORWARD_SUM = (
    "for (int64_t m = 0; m < inputs; m++) x += in[m] * net->syn[k][m * outputs + n];",
    "for (int64_t m = inputs; m-- > 0;) x += in[m] * net->syn[k][m * outputs + n];",
)
BACKWARD_SUM = (
    "for (int64_t n = 0; n < outputs; n++) sum += next[n] * weights[n];",
    "for (int64_t n = outputs; n-- > 0;) sum += next[n] * weights[n];",
)
UPDATE_SUM = (
    "for (int64_t i = 0; i < net->samples; i++)\n                sum",
    "for (int64_t i = net->samples; i-- > 0;)\n                sum",
)

CORRECT: dict[str, tuple[tuple[tuple[str, str], ...], str]] = {
    "O0": ((), "-O0"),
    "O3_native": ((), "-O3 -march=native"),
    "contracted": ((), "-O2 -march=native -ffp-contract=fast"),
    "reversed_sums": ((FORWARD_SUM, BACKWARD_SUM, UPDATE_SUM), "-O2"),
}

BROKEN = {
    "float_sums": (("real x = 0;", "float x = 0;"),),
    # The hidden errors use weights that have been updated already.
    "syn1_first": (
        (
            "static void backward",
            "static void update_layer(const network *, int64_t);\nstatic void backward",
        ),
        (
            "= net->layers[k];\n        for",
            "= net->layers[k];\n        if (k < net->last) update_layer(net, k);\n        for",
        ),
        ("for (int64_t k = 0; k < net->last; k++) update_layer(net, k);", "update_layer(net, 0);"),
    ),
    "one_late": (("iteration < checkpoints[c]", "iteration + 1 < checkpoints[c]"),),
}


def test_correct_builds_pass(conformance: Conformance, patched_c: PatchedC) -> None:
    """On some cases; `make teeth` has these builds and more of them on every case."""
    names = ("everything", "everything-else", "saturated", "softmax-large", "batch-norm-run")
    ports = [patched_c(name, *lines, flags=flags) for name, (lines, flags) in CORRECT.items()]
    done = conformance(*ports, cases=" ".join(names))
    assert done.returncode == 0, done.stdout
    for name in CORRECT:
        found = done.verdicts(name)
        assert len(found) == 2 * len(names)
        assert {v["status"] for v in found} == {"PASS"}
        assert max(v["margin"] for v in found) <= 0.5


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_build_fails(conformance: Conformance, patched_c: PatchedC, name: str) -> None:
    done = conformance(patched_c(name, *BROKEN[name]), cases=CASES / "three-layer.toml")
    assert done.returncode == 1
    [verdict] = [v for v in done.verdicts(name) if v["dtype"] == "float64"]
    assert verdict["status"] == "FAIL"
    assert verdict["margin"] > 10
    assert "first divergence" in done.stdout
    assert f"PORT={patched_folder(done.stdout)}" in done.stdout


def patched_folder(output: str) -> str:
    """The folder that the command for reproduction names; it must exist."""
    folder = output.split("PORT=")[1].split()[0]
    assert Path(folder).is_dir()
    return folder


def test_the_first_divergence_is_the_wrong_line(
    conformance: Conformance, patched_c: PatchedC
) -> None:
    wrong_slope = patched_c("slope", ("output * (1 - output)", "output * (1 + output)"))
    done = conformance(wrong_slope, cases=CASES / "deep.toml")
    divergence = done.verdicts("slope")[0]["divergence"]
    assert divergence["check"] == "step"
    assert divergence["iteration"] == 0
    assert divergence["tensor"] == "l3_delta"
    assert float.fromhex(divergence["expected_hex"]) == divergence["expected"]
    for word in ("ulps", "times the tolerance", "0x", "probable bug", "reproduce: make conf"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("replacement", "words"),
    [
        (
            (
                "return BACKPROP_OK;\n}\n\n/* An ensemble,",
                "return 3;\n}\n\n/* An ensemble,",
            ),
            "returned 3 (BACKPROP_NO_MEMORY)",
        ),
        (
            (
                "return BACKPROP_OK;\n}\n\n/* An ensemble,",
                "return 4;\n}\n\n#if BITS == 64\n"
                'const char *backprop_reason(void) { return "it rains"; }\n'
                "#endif\n\n/* An ensemble,",
            ),
            "returned 4 (BACKPROP_FAILED): it rains",
        ),
        (
            ("int64_t iteration = 0;", "int64_t iteration = 0; ((real *)state)[0] = 0;"),
            "changed its inputs",
        ),
        (("error_out[c] = mean_error(&net);", ""), "got nan"),
        (("int EXPORT(backprop_step)", "int EXPORT(step)"), "does not export backprop_step"),
    ],
)
def test_breaches_of_the_c_contract_fail(
    conformance: Conformance, patched_c: PatchedC, replacement: tuple[str, str], words: str
) -> None:
    done = conformance(patched_c("p", replacement))
    assert done.statuses("p") == {"FAIL"}
    assert all(words in v["reason"] for v in done.verdicts("p"))
