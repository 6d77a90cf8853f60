"""The notebook runs from a clean start, and all that it claims is true; it is kept without outputs.

`python -m reference.tests.test_lesson` takes out what Jupyter put into the file.
"""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from conformance.selftest.patience import patience
from conformance.selftest.sweeps.sampled import sampled

LESSON = Path(__file__).parents[4] / "reference" / "article" / "lesson.ipynb"
# What the file says of the Python that it is for; each Jupyter would write its own version.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def read() -> nbformat.NotebookNode:
    return nbformat.read(LESSON, as_version=4)


def clean(notebook: nbformat.NotebookNode) -> str:
    """The file's text without what depends on who ran it, and when."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nbformat.writes(notebook) + "\n"


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Run all cells; raises CellExecutionError where one fails."""
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(
        notebook, timeout=patience(300), kernel_name="python3", resources=resources
    ).execute()


@pytest.fixture(autouse=True)
def _nothing_of_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Jupyter's and IPython's own files: no start-up files are read, and no history is written."""
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))


@pytest.mark.sweep
def test_it_runs_without_a_word_on_stderr_and_draws_its_plots() -> None:
    lesson = read()
    run(lesson, LESSON.parent)
    outputs = [o for cell in lesson.cells if cell.cell_type == "code" for o in cell.outputs]
    assert [o.text for o in outputs if o.get("name") == "stderr"] == []
    plots = sum(cell.source.count("plt.show()") for cell in lesson.cells)
    assert sum("image/png" in o.get("data", {}) for o in outputs) == plots > 3


def test_it_starts_from_the_root_too() -> None:
    lesson = read()
    lesson.cells = [cell for cell in lesson.cells if cell.id in ("setup", "imports")]
    assert len(lesson.cells) == 2
    run(lesson, LESSON.parents[1])


MISTAKES = [
    ("two-layer-program", "seed(1)", "seed(2)"),
    ("two-layer-program", "l1_error * nonlin(l1, deriv=True)", "l1_error"),
    ("sigmoid-claims", "nonlin(0.99,", "nonlin(0.9,"),
    ("correlation-table", "X[:, 0] != X[:, 1]", "X[:, 0] >= X[:, 1]"),
    ("update-parts", "y - l1", "l1 - y"),
    ("wrong-program", "= l2_delta @ syn1.T", "= l2_error @ syn1.T"),  # another mistake
]


@pytest.mark.parametrize(("cell", "old", "new"), sampled(MISTAKES, MISTAKES[0]))
def test_its_claims_can_fail(cell: str, old: str, new: str) -> None:
    lesson = read()
    [changed] = [c for c in lesson.cells if c.id == cell]
    assert changed.source.count(old) == 1
    changed.source = changed.source.replace(old, new)
    with pytest.raises(CellExecutionError, match="AssertionError"):
        run(lesson, LESSON.parent)


def test_it_is_kept_clean() -> None:
    text = LESSON.read_text(encoding="utf-8")
    assert text == clean(read()), "clean it by `.venv/bin/python -m reference.tests.test_lesson`"


def test_it_has_cells_with_names_of_their_own() -> None:
    names = [cell.id for cell in read().cells]
    assert len(set(names)) == len(names) > 40
    # Not random ones, which would change if a cell is cut and pasted.
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)


def test_its_links_lead_somewhere() -> None:
    text = "\n".join(cell.source for cell in read().cells if cell.cell_type == "markdown")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert len(links) > 10
    assert [link for link in links if not (LESSON.parent / link).exists()] == []


if __name__ == "__main__":
    LESSON.write_text(clean(read()), encoding="utf-8")
