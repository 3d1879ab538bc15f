"""The clock of one time box: opened by the first batch, and the only measure of progress."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Counts the seconds of training. It can be opened once and closed once, and never runs backwards."""

    def __init__(self, box: float) -> None:
        """`box` is the training time in seconds."""
        self.box = box
        self._opened_at: float | None = None
        self._elapsed: float | None = None

    @property
    def opened(self) -> bool:
        return self._opened_at is not None

    @property
    def closed(self) -> bool:
        return self._elapsed is not None

    def open(self) -> None:
        if self.opened:
            raise RuntimeError("The clock is open already: a run has one time box.")
        self._opened_at = time.monotonic()

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("The clock is closed already.")
        self._elapsed = self.elapsed

    @property
    def elapsed(self) -> float:
        """Seconds since the clock was opened, until it was closed; 0 before."""
        if self._opened_at is None:
            return 0.0
        return time.monotonic() - self._opened_at if self._elapsed is None else self._elapsed

    @property
    def progress(self) -> float:
        """The part of the box that is over, 0..1."""
        return min(self.elapsed / self.box, 1.0)

    @property
    def over(self) -> bool:
        return self.closed or self.elapsed >= self.box


class Pace:
    """How long the steps of a run take, and what was done since the last batch was asked for."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` gives seconds: on the CPU of its own time, which a busy machine does not stretch."""
        self._now = now
        self._served_at: float | None = None
        self.longest = 0.0  # seconds between two batches

    def serve(self) -> None:
        """A batch is handed out."""
        if self._served_at is not None:
            self.longest = max(self.longest, self.since)
        self._served_at = self._now()

    @property
    def since(self) -> float:
        """Seconds since the last batch; 0 before the first."""
        return 0.0 if self._served_at is None else self._now() - self._served_at
