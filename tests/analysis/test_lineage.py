"""Frames and the lineage figure of a search."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from analysis import figures, load
from analysis.__main__ import main
from tests.stub import evolve


def test_frames_hold_every_individual_and_edge(tmp_path: Path) -> None:
    evolution = evolve(tmp_path, pop=4, gens=8)
    frames = load(tmp_path)
    everyone = evolution.archive.individuals
    assert list(frames.individuals.index) == list(everyone)
    assert frames.individuals["score"].tolist() == [one.fitness.mean for one in everyone.values()]
    assert len(frames.edges) == sum(len(one.parents) for one in everyone.values())
    best = evolution.best
    assert best is not None
    path = frames.individuals.index[frames.individuals["champion"]]
    assert path[0] == 0 and path[-1] == best.id


def test_the_figure_has_a_mark_an_individual_and_a_line_an_edge(tmp_path: Path) -> None:
    evolve(tmp_path, pop=4, gens=8)
    frames = load(tmp_path)
    axes = figures.lineage(frames, Figure().subplots())
    marks = sum(len(collection.get_offsets()) for collection in axes.collections[3:])
    lines = sum(len(collection.get_paths()) for collection in axes.collections[:3])
    assert marks == len(frames.individuals)
    assert lines == len(frames.edges)


def test_the_command_draws_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evolve(tmp_path / "run", pop=2, gens=2)
    file = tmp_path / "lineage.png"
    monkeypatch.setattr("sys.argv", ["analysis", "lineage", str(tmp_path / "run"), str(file)])
    assert main() == 0
    assert file.read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr("sys.argv", ["analysis", "lineage", str(tmp_path / "nothing"), str(file)])
    assert main() == 2
