"""Flushes are counted here, not made: what would be lost without them is lost by hand (disk.py)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.archive.conftest import no_flushing
from tests.weather.orphans import Nursery

__all__ = ["no_flushing", "nursery"]


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    """Knows of every process that a test's engines leave behind."""
    with Nursery() as nursery:
        yield nursery
