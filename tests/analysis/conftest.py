"""Archives that the tests of this package read: nobody may write to them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from analysis import Frames, load
from tests.analysis.archives import fill, operate


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 60 births with every kind of outcome, crossovers, replicates, exchanges and a confirmed champion."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    fill(folder / "archive.git", 60)
    return folder


@pytest.fixture(scope="session")
def operated(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That run after a replay, an ablation, a pruning and a transfer of its champion."""
    folder = tmp_path_factory.mktemp("operated") / "small"
    shutil.copytree(run, folder)
    operate(folder)
    return folder


@pytest.fixture(scope="session")
def frames(run: Path) -> Frames:
    return load(run)
