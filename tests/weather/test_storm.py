"""A small storm; `python -m benchmarks.soak` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.weather import storm
from tests.weather.storm import Storm

FAULTS = 8  # each of those that need no disk of their own


def test_nothing_is_lost_doubled_or_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storm, "FAULT_EVERY", (3, 6))
    weather = Storm(tmp_path, seed=3, own_disk=False)
    weather.run(lambda figures: figures.faults.total() == FAULTS)
    weather.rest(5)
    figures = weather.figures
    assert figures.untold == [] and figures.orphans == []
    assert (figures.lost, figures.doubled, figures.unsound) == (0, 0, 0)
    assert len(figures.faults) == FAULTS
