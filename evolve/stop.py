"""How a search is told to end: Ctrl-C once drains, twice stops at once; a time limit drains."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType


class StopSignals:
    """While entered, SIGINT asks for a drain and a second one for an immediate stop; SIGTERM stops at once.

    `max_hours` counts from the moment of entering; when it is over, nothing new is started.
    """

    def __init__(self, max_hours: float | None = None) -> None:
        self._seconds = float("inf") if max_hours is None else max_hours * 3600
        self._interrupts = 0
        self._given_up = ""
        self.terminated = False

    def give_up(self, reason: str) -> None:
        """Drain for a reason of the search's own, said in words; the first one counts."""
        self._given_up = self._given_up or reason

    def __enter__(self) -> StopSignals:
        self._entered = time.monotonic()
        self._previous = {
            signal.SIGINT: signal.signal(signal.SIGINT, self._interrupt),
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._terminate),
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _interrupt(self, *_: int | FrameType | None) -> None:
        self._interrupts += 1

    def _terminate(self, *_: int | FrameType | None) -> None:
        self.terminated = True

    @property
    def out_of_time(self) -> bool:
        return time.monotonic() - self._entered >= self._seconds

    @property
    def drain(self) -> bool:
        return self._interrupts > 0 or self.terminated or self.out_of_time or bool(self._given_up)

    @property
    def now(self) -> bool:
        return self._interrupts > 1 or self.terminated

    @property
    def reason(self) -> str:
        """Why the search is ending, in words; empty while it is not."""
        if self.terminated:
            return "terminated: stopping at once"
        if self._interrupts > 1:
            return "interrupted twice: stopping at once"
        if self._interrupts:
            return "interrupted: running boxes finish, then the search stops (Ctrl-C again stops at once)"
        if self.out_of_time:
            return "out of time: running boxes finish, then the search stops"
        return self._given_up
