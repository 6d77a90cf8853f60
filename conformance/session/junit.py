"""A run through pytest, which writes a JUnit report; conformance/conftest.py has its steps."""

import os
from pathlib import Path

import pytest

from conformance.ground.places import HERE, NAME, ROOT
from conformance.record import store
from conformance.session.command import INTERRUPTED
from conformance.session.options import Options


class Interrupt:
    """A plugin of pytest that sees a ^C. Before the first test, pytest itself would end with 2."""

    seen = False

    def pytest_keyboard_interrupt(self) -> None:
        """See the hook of that name."""
        self.seen = True


def main(options: Options, report: Path) -> int:
    """Run pytest on the matrix, without the configuration and plugins of what is around.

    Returns the exit status. Raises ResultsError if the report cannot be written.
    """
    store.check_writable(report)
    alone = ["-c", os.devnull, "--rootdir", str(ROOT), "-p", "no:cacheprovider"]
    alone.append("--disable-plugin-autoload")  # Hypothesis alone takes a second at the end
    quiet = ["-q", "--no-header", "--tb=short"]
    junit = [f"--junit-xml={report}", "-o", f"junit_suite_name={NAME}"]
    # conftest.py takes the options from there, rather than parse them once more.
    interrupt = Interrupt()
    handed = [options, interrupt]
    status = int(pytest.main([str(HERE / "test_ports.py"), *alone, *quiet, *junit], handed))
    return INTERRUPTED if interrupt.seen else status
