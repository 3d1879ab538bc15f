"""What `doctor` says of GPUs."""

from __future__ import annotations

import pytest

from evolve.doctor import examine
from tests.evaluation.nvidia import FakeSmi, smi

__all__ = ["smi"]


def test_a_gpu_that_somebody_uses_is_told(smi: FakeSmi, capsys: pytest.CaptureFixture[str]) -> None:
    smi.say(apps="77, trainer")
    examine()
    shown = capsys.readouterr().out
    assert "GPU-a is used by process 77 (trainer)" in shown
    assert "no run is started beside another on a GPU" in shown
