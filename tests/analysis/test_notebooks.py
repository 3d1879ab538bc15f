"""The notebooks run on a small archive, and hold no outputs in git."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "analysis" / "notebooks"
PICTURES = {"a_search_at_a_glance": 4, "lineage": 4, "replay_and_ablation": 2}


@pytest.mark.parametrize("name", PICTURES)
def test_a_notebook_runs(name: str, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    monkeypatch.setenv("EVOLVE_RUN", str(run))
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parents[1]))
    NotebookClient(book, timeout=120, resources={"metadata": {"path": str(FOLDER)}}).execute()
    outputs = [output for cell in code for output in cell.outputs]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == PICTURES[name]
    assert not [output for output in outputs if output.output_type == "stream" and output.name == "stderr"]


def test_every_notebook_is_run() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(PICTURES)
