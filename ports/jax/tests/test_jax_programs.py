"""The JAX port in a run of many cases."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from conformance.selftest import variants
from conformance.selftest.tests.conftest import ROOT, Conformance, notes_of


def test_it_is_right_after_it_forgot_what_was_compiled(
    conformance: Conformance, tmp_path: Path
) -> None:
    if find_spec("jax") is None:  # it is not imported: other tests of this process fork
        pytest.skip("JAX is not installed")
    folder = shutil.copytree(ROOT / "ports" / "jax", tmp_path / "jax")
    beside = "__import__('os').environ['JAX_COMPILATION_CACHE_DIR'] + '-forgotten'"
    patches = (
        ("MOST_PROGRAMS = 150", "MOST_PROGRAMS = 2"),
        ("jax.clear_caches()", f"jax.clear_caches(); open({beside}, 'a').write('.')"),
    )
    variants.patch(folder, patches, files="backprop.py")
    done = conformance(folder, cases="one-step two-layer momentum-run predict-smallest")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.statuses("jax") == {"PASS"}
    log = notes_of(folder).with_name("jax-forgotten")
    assert len(log.read_text()) >= 3  # which are fewer than the requests
