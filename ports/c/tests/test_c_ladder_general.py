"""The rung c:general: each way to compute a product, at each level of instructions."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.selftest.sweeps.sampled import sampled
from conformance.selftest.tests.conftest import CASES, ROOT, Conformance

LADDER = ROOT / "ports" / "c" / "ladder"
LEVELS = ("avx512", "avx2", "portable")
FLAGS = ("-std=c11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
NOT_HERE = ("instructions that this processor does not have", "it was built without a BLAS")


@pytest.mark.parametrize(
    ("level", "products"),
    sampled(itertools.product(LEVELS, ("own", "blas", "auto")), ("avx2", "auto")),
)
def test_every_way_passes_every_case(
    conformance: Conformance, monkeypatch: pytest.MonkeyPatch, level: str, products: str
) -> None:
    monkeypatch.setenv("BACKPROP_CPU", level)
    monkeypatch.setenv("BACKPROP_GEMM", products)
    done = conformance("c:general", cases=CASES)
    found = [v for v in done.verdicts("c:general") if v["status"] != "SKIP"]
    if any(word in v["reason"] for v in found for word in NOT_HERE):
        pytest.skip(found[0]["reason"])
    assert done.returncode == 0, done.stdout
    assert {v["status"] for v in found} == {"PASS"}
    assert {v["dtype"] for v in found} == {"float64", "float32"}
    assert {"three-layer", "digits", "deep", "saturated", "bias-run", "mini-batch-run"} <= {
        v["case"] for v in found
    }
    assert max(v["margin"] for v in found) <= 0.5


@pytest.mark.parametrize("variable", ["BACKPROP_CPU", "BACKPROP_GEMM"])
def test_a_wrong_word_is_named(
    conformance: Conformance, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "fastest")
    done = conformance("c:general")
    assert done.returncode == 1
    assert f"{variable} must be" in " ".join(done.stdout.split())  # a line may wrap anywhere


# More rows, columns and sums than one block has, and all kinds of rests of tiles and vectors. With
# small whole numbers every sum is exact, in whatever order it is made.
PRODUCTS = r"""
#include "gemm.h"
#include <math.h>
#include <stdio.h>

static matrix filled(int64_t rows, int64_t columns, int seed) {
    const int64_t row = padded(columns);
    real *at = aligned_alloc(LINE, (size_t)(rows * row) * sizeof(real));
    for (int64_t i = 0; i < rows * row; i++)
        at[i] = i % row < columns ? (i * 7 + seed) % 13 - 6 : NAN;
    return (matrix){at, row, 0};
}

static real element(matrix x, int64_t i, int64_t j) {
    return x.transposed ? x.at[j * x.row + i] : x.at[i * x.row + j];
}

static int check(const method *how, int64_t rows, int64_t columns, int64_t inner, int which) {
    matrix a = which & 1 ? filled(inner, rows, 1) : filled(rows, inner, 1);
    matrix b = which & 2 ? filled(columns, inner, 5) : filled(inner, columns, 5);
    matrix c = filled(rows, columns, 9), old = filled(rows, columns, 9);
    real *room = filled(1, ROOM, 0).at;
    const int add = which >> 2;
    a.transposed = which & 1, b.transposed = (which & 2) > 0;
    multiply(how, rows, columns, inner, a, b, c, add ? 2 : 1, add, room);
    int wrong = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            real sum = 0;
            for (int64_t p = 0; p < inner; p++) sum += element(a, i, p) * element(b, p, j);
            if (add) sum = element(old, i, j) + 2 * sum;
            if (!(element(c, i, j) == sum)) wrong++;
        }
    free(a.at), free(b.at), free(c.at), free(old.at), free(room);
    if (wrong) printf("%d wrong of %d x %d x %d, kind %d\n", wrong, (int)rows, (int)columns,
                      (int)inner, which);
    return wrong;
}

int main(void) {
    method how;
    const char *reason = find_method(&how);
    if (reason) return puts(reason), 3;
    const int64_t sizes[][3] = {{1, 1, 1},    {2, 3, 4},    {5, 10, 7},       {13, 17, 9},
                                {64, 10, 33}, {97, 50, 64}, {51, 1030, 515},  {530, 40, 520},
                                {7, 31, 1030}};
    int wrong = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int which = 0; which < 8; which++)
            wrong += check(&how, sizes[i][0], sizes[i][1], sizes[i][2], which);
    return wrong > 0;
}
"""


@pytest.mark.parametrize("bits", [64, 32])
def test_products_of_all_shapes_are_right(tmp_path: Path, bits: int) -> None:
    program = build(tmp_path, PRODUCTS, bits)
    for level in LEVELS:
        done = run(program, level)
        assert done.returncode in (0, 3), (level, done.stdout)
        assert done.returncode == 0 or NOT_HERE[0] in done.stdout


# exp against the C library's in long double, and the sigmoid where exp is at its ends. One ulp is
# the gap between neighbours at the exact value.
EXP = r"""
#include "gemm.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#if BITS == 64
enum { DIGITS = DBL_MANT_DIG };
static const double from = -707, to = 709.78;
#else
enum { DIGITS = FLT_MANT_DIG };
static const double from = -86, to = 88.72;
#endif

int main(void) {
    method how;
    const char *reason = find_method(&how);
    if (reason) return puts(reason), 3;
    double worst = 0, where = 0;
    for (int i = 0; i <= 1000000; i++) {
        const real t = (real)(from + (to - from) * i / 1000000);
        const long double exact = expl(t);
        int exponent;
        frexpl(exact, &exponent);
        const double off = (double)(fabsl(exponential(t) - exact) / ldexpl(1, exponent - DIGITS));
        if (!(off <= worst)) worst = off, where = t;
    }
    real x[] = {INFINITY, 1e4, 800, 40, 0, -0.0, -800, -1e4, -INFINITY, NAN};
    how.level->activate(10, x);
    const int right = x[0] == 1 && x[1] == 1 && x[2] == 1 && x[3] == 1 && x[4] == 0.5 &&
                      x[5] == 0.5 && x[6] == 0 && x[7] == 0 && x[8] == 0 && isnan(x[9]) &&
                      isinf(exponential(INFINITY)) && isinf(exponential((real)(to + 0.1)));
    printf("%.4f ulp at %a, %s\n", worst, where, right ? "ends right" : "ends wrong");
    return 0;
}
"""


@pytest.mark.parametrize(
    ("bits", "flags"),
    sampled(
        itertools.product((64, 32), ((), ("-mfma",), ("-ffp-contract=off",))),
        (64, ()),
        (32, ("-ffp-contract=off",)),
    ),
)
def test_exp_is_within_one_ulp(tmp_path: Path, bits: int, flags: tuple[str, ...]) -> None:
    if "-mfma" in flags and "fma" not in Path("/proc/cpuinfo").read_text().split():
        pytest.skip("this processor has no FMA")
    program = build(tmp_path, EXP, bits, *flags)
    for level in LEVELS:
        done = run(program, level)
        if done.returncode == 3:
            continue
        assert float(done.stdout.split()[0]) <= 1, done.stdout
        assert "ends right" in done.stdout


def test_builds_without_a_blas(tmp_path: Path) -> None:
    flags = tmp_path / "blas.flags"
    # No Python packages (-S), and no compiler that could find a library.
    found = subprocess.run(
        [sys.executable, "-S", str(LADDER / "find_blas.py"), str(flags)],
        env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout == "no BLAS found\n"
    assert flags.read_text() == ""


def build(folder: Path, source: str, bits: int, *flags: str) -> Path:
    """Compile a program around gemm.h, without a BLAS."""
    (folder / "program.c").write_text(source)
    program = folder / "program"
    command = ["gcc", *FLAGS, *flags, f"-DBITS={bits}", f"-I{LADDER}", str(folder / "program.c")]
    subprocess.run([*command, "-lm", "-o", str(program)], check=True)
    return program


def run(program: Path, level: str) -> subprocess.CompletedProcess[str]:
    """Run it at a level."""
    env = {**os.environ, "BACKPROP_CPU": level}
    return subprocess.run([str(program)], env=env, capture_output=True, text=True, check=False)
