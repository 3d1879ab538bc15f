"""A maker of trials with caps that suit tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evolve.evaluation.trial import Trial

MakeTrial = Callable[..., Trial]


@pytest.fixture
def make_trial(tmp_path: Path) -> MakeTrial:
    numbers = itertools.count()

    def make(source: str, **changes: Any) -> Trial:
        number = next(numbers)
        values: dict[str, Any] = {
            "individual": number,
            "replicate": 0,
            "seed": 1,
            "source": source,
            "script": "train.py",
            "folder": str(tmp_path / f"trial-{number}"),
            "preload": ("json",),
            "time_box": 0.3,
            "startup": 5.0,
            "grace": 0.5,
            "scoring": 5.0,
            "memory_mb": 1000,
        }
        return Trial(**{**values, **changes})

    return make
