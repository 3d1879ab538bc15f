"""The notebooks run on a small archive, and hold no outputs in git."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from analysis import ablation, replay

FOLDER = Path(__file__).parents[2] / "analysis" / "notebooks"
PICTURES = {"a_search_at_a_glance": 4, "lineage": 4, "replay_and_ablation": 2}


def test_the_notebooks_run(run: Path, operated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    books = {name: nbformat.read(FOLDER / f"{name}.ipynb", as_version=4) for name in PICTURES}
    again = nbformat.read(FOLDER / "replay_and_ablation.ipynb", as_version=4)
    for cell in again.cells:
        cell["id"] += "-again"
    other_run = nbformat.v4.new_code_cell(f"os.environ['EVOLVE_RUN'] = {str(operated)!r}")
    cells = [*(cell for book in books.values() for cell in book.cells), other_run, *again.cells]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    monkeypatch.setenv("EVOLVE_RUN", str(run))
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parents[1]))
    # One after the other in one kernel, because a kernel takes seconds to start.
    together = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(together, timeout=120, resources={"metadata": {"path": str(FOLDER)}}).execute()
    for name, book in [*books.items(), ("replay_and_ablation", again)]:
        outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
        assert sum("image/png" in output.get("data", {}) for output in outputs) == PICTURES[name], name
    assert "Nothing was replayed yet" in words(books["replay_and_ablation"])
    told = words(again)
    assert "Nothing was" not in told and "claimed" in told
    for table in (replay(operated), ablation(operated)):
        for verdict in table["verdict"]:
            assert f"<td>{verdict}</td>" in told
    assert "<td>prune</td>" in told


def words(book: nbformat.NotebookNode) -> str:
    """What the cells printed and the tables that they showed."""
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") + output.get("data", {}).get("text/html", "") for output in outputs)


def test_every_notebook_is_run() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(PICTURES)
