"""A small storm; `python -m benchmarks.soak` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.weather import storm
from tests.weather.storm import Storm


def test_nothing_is_lost_doubled_or_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storm, "FAULT_EVERY", (3, 6))
    figures = Storm(tmp_path, 15, seed=3, own_disk=False).run()
    assert figures.untold == []
    assert (figures.lost, figures.doubled, figures.orphans, figures.unsound) == (0, 0, 0, 0)
    assert figures.trials >= 15 and figures.faults  # how many fit in hangs on how quickly the machine is
