"""What targets for a GPU say where there is none: those in Python that are not built first."""

from conformance.selftest.tests.conftest import Conformance
from conformance.targets.manifest import select

TARGETS = [
    target.name
    for port in select([])
    if port.manifest.kind == "python" and not port.manifest.build.commands
    for target in port.targets()
    if target.device
]


def test_without_a_gpu_they_say_what_is_missing(conformance: Conformance) -> None:
    done = conformance(*TARGETS, cases="one-step")
    for name in TARGETS:
        for verdict in done.verdicts(name):
            if verdict["status"] != "PASS":  # there is a GPU
                assert verdict["status"] == "SKIP"
                reason = verdict["reason"]
                assert reason.startswith(("no CUDA device", "CuPy is not installed: ", "Python ("))
                assert "Traceback" not in reason
