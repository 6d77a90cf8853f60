"""The source in C++: no warning of g++, clang++ and clang-tidy."""

import pytest

from conformance.selftest.compilers import CPP, STRICT, Source, clang_tidy, demand_no_word, needed

pytestmark = pytest.mark.sweep

EIGEN = Source("backprop", "cpp", "backprop.cpp", ())


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_cpp_has_no_warnings(compiler: str) -> None:
    needed(compiler)
    demand_no_word([compiler, *STRICT, *CPP, *EIGEN.flags, EIGEN.file], EIGEN)


def test_clang_tidy_finds_nothing_in_cpp() -> None:
    """Without the analyser of paths: it takes minutes on Eigen's templates."""
    eigen = ("-std=c++20", "-isystem", "/usr/include/eigen3")
    clang_tidy(EIGEN, "--checks=-clang-analyzer-*", flags=eigen)
