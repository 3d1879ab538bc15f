"""How a search is told to end: Ctrl-C once drains, twice stops at once; SIGTERM does what its notice allows."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType

NOTICE = 30.0  # seconds: what batch schedulers leave between SIGTERM and SIGKILL, unless told otherwise
SAVING = 5.0  # of them, for what comes after the last outcome
OVERHEAD = 2.0  # seconds that a trial spends outside its box, at most, for the question whether it fits


class StopSignals:
    """While entered, SIGINT asks for a drain and a second one for an immediate stop.

    SIGTERM is a batch scheduler's: SIGKILL follows it after `notice` seconds. Where a trial of `box` seconds fits into
    them, running ones are waited for as long as that allows; where not, or after a second SIGTERM, they are
    stopped at once. `max_hours` counts from the moment of entering; when it is over, nothing new is started.
    """

    def __init__(self, max_hours: float | None = None, *, box: float, notice: float = NOTICE) -> None:
        self._seconds = float("inf") if max_hours is None else max_hours * 3600
        self._patience = notice - SAVING if box + OVERHEAD <= notice - SAVING else 0.0
        self._interrupts = 0
        self._given_up = ""
        self._terminated: float | None = None  # when
        self._impatient = False

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
        self._impatient = self._terminated is not None
        self._terminated = self._terminated or time.monotonic()

    @property
    def out_of_time(self) -> bool:
        return time.monotonic() - self._entered >= self._seconds

    @property
    def drain(self) -> bool:
        return self._interrupts > 0 or self._terminated is not None or self.out_of_time or bool(self._given_up)

    @property
    def now(self) -> bool:
        waited_for = self._terminated is not None and time.monotonic() - self._terminated < self._patience
        return self._interrupts > 1 or self._impatient or (self._terminated is not None and not waited_for)

    @property
    def exit_code(self) -> int:
        """130 where somebody ended the search before its time, and trials with it or a scheduler's job; else 0."""
        return 130 if self.now or self._terminated is not None else 0

    @property
    def reason(self) -> str:
        """Why the search is ending, in words; empty while it is not."""
        if self._terminated is not None:
            if self.now:
                return "terminated: stopping at once"
            return f"terminated: running boxes have {self._patience:.0f} s to finish, then the search stops"
        if self._interrupts > 1:
            return "interrupted twice: stopping at once"
        if self._interrupts:
            return "interrupted: running boxes finish, then the search stops (Ctrl-C again stops at once)"
        if self.out_of_time:
            return "out of time: running boxes finish, then the search stops"
        return self._given_up
