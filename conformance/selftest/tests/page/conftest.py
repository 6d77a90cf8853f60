"""A run to look at, and the report on it: made once for all tests of the page."""

from pathlib import Path

import pytest

from conformance.selftest.tests.page import report_files


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results file for the tests of the report."""
    return report_files.judged(tmp_path_factory.mktemp("judged"))


@pytest.fixture(scope="session")
def folder(judged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on it."""
    return report_files.reported(judged, tmp_path_factory.mktemp("report"))
