"""The notebooks run on a small archive, and hold no outputs in git."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "analysis" / "notebooks"
PICTURES = {"a_search_at_a_glance": 4, "lineage": 4, "replay_and_ablation": 2}


def test_the_notebooks_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    books = {name: nbformat.read(FOLDER / f"{name}.ipynb", as_version=4) for name in PICTURES}
    cells = [cell for book in books.values() for cell in book.cells]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    monkeypatch.setenv("EVOLVE_RUN", str(run))
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parents[1]))
    # One after the other in one kernel, because a kernel takes seconds to start.
    together = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(together, timeout=120, resources={"metadata": {"path": str(FOLDER)}}).execute()
    for name, book in books.items():
        outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
        assert sum("image/png" in output.get("data", {}) for output in outputs) == PICTURES[name], name


def test_every_notebook_is_run() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(PICTURES)
