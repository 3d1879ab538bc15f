"""An empty archive for each test, and the few lines that fill one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evolve.archive import Archive
from tests.archive.filling import STATE


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive.create(tmp_path / "archive.git", STATE) as archive:
        yield archive
