"""Flushes are counted here, not made: what would be lost without them is lost by hand (disk.py)."""

from __future__ import annotations

from tests.archive.conftest import no_flushing

__all__ = ["no_flushing"]
