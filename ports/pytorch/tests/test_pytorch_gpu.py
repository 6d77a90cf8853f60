"""What the PyTorch port has for a GPU, as far as it can be run without one."""

import shutil
from pathlib import Path

import pytest

from conformance.selftest.tests.conftest import ROOT, Conformance

CASES = "one-step two-layer momentum-run ensemble-thousand"


def test_pytorch_for_a_gpu_runs_on_the_cpu(conformance: Conformance, tmp_path: Path) -> None:
    """In eager mode: compiling would take minutes, and graphs need a GPU."""
    pytest.importorskip("torch")
    folder = shutil.copytree(ROOT / "ports" / "pytorch", tmp_path / "pytorch")
    manifest = folder / "port.toml"
    text = manifest.read_text()
    device = 'device = { detect = ["{python}", "has_gpu.py"] }\n'
    variable = "env = { BACKPROP_TORCH ="
    assert text.count(device) == text.count(variable) == 3
    on_cpu = 'env = { BACKPROP_TORCH_DEVICE = "cpu", BACKPROP_TORCH ='
    manifest.write_text(text.replace(device, "").replace(variable, on_cpu))
    done = conformance(f"{folder}:gpu-eager", cases=CASES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.statuses("pytorch:gpu-eager") == {"PASS"}


def test_a_recorded_update_refuses_what_changes_from_one_to_the_next(
    conformance: Conformance, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    folder = shutil.copytree(ROOT / "ports" / "pytorch", tmp_path / "pytorch")
    manifest = folder / "port.toml"
    head, *rungs = manifest.read_text().partition("[[rung]]")
    rung = "".join(rungs).replace('"momentum"', '"mini-batch"', 1)
    rung = rung.replace('device = { detect = ["{python}", "has_gpu.py"] }\n', "", 1)
    rung = rung.replace("env = {", 'env = { BACKPROP_TORCH_DEVICE = "cpu",', 1)
    manifest.write_text(head + rung)
    done = conformance(f"{folder}:gpu-eager", cases="mini-batch-step")
    verdicts = done.verdicts("pytorch:gpu-eager")
    assert {v["status"] for v in verdicts} == {"SKIP"}
    assert all("updates that are all alike: no batch_size" in v["reason"] for v in verdicts)
