"""The JAX port in a run of many cases."""

import shutil
from pathlib import Path

import pytest

from conformance.tests.conftest import ROOT, Conformance


def test_it_is_right_after_it_forgot_what_was_compiled(
    conformance: Conformance, tmp_path: Path
) -> None:
    pytest.importorskip("jax")
    folder = shutil.copytree(ROOT / "ports" / "jax", tmp_path / "jax")
    source, log = folder / "backprop.py", tmp_path / "forgotten"
    text = source.read_text()
    for old, new in (
        ("MOST_PROGRAMS = 150", "MOST_PROGRAMS = 2"),
        ("jax.clear_caches()", f"jax.clear_caches(); open({str(log)!r}, 'a').write('.')"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    source.write_text(text)
    done = conformance(folder, cases="one-step two-layer momentum-run predict-smallest")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.statuses("jax") == {"PASS"}
    assert len(log.read_text()) >= 3  # which are fewer than the requests
