"""What the evaluations of a search took, and the caps on it: boxes and seconds on an accelerator."""

from __future__ import annotations

import math

from evolve.individual import Outcome

TOLERANCE = 1e-6  # boxes; sums of floats


class Spending:
    """Counts evaluations up; no offspring is born once a cap is reached.

    A box is one time box of training: a run that was raced out or failed counts its share, and one of a script that
    prints its own score all of its time. Seconds are those that a
    run held its worker's accelerator or cores, start-up and scoring included. Confirming the champion comes on top.
    """

    def __init__(self, time_box: float, max_boxes: float | None = None, max_seconds: float | None = None) -> None:
        self._time_box = time_box
        self._max_boxes = math.inf if max_boxes is None else max_boxes
        self._max_seconds = math.inf if max_seconds is None else max_seconds
        self.boxes = 0.0
        self.seconds = 0.0

    def take(self, outcome: Outcome) -> None:
        """One more evaluation."""
        # What a script that prints its own score says of its training time is no measure.
        seconds = outcome.seconds.get("training" if outcome.trusted else "total", 0.0)
        self.boxes += min(1.0, seconds / self._time_box)
        self.seconds += outcome.seconds.get("total", 0.0)

    def spent(self, running: int) -> bool:
        """Whether no further box fits under the caps, beside the whole ones of `running` evaluations."""
        return self.boxes + running + 1 > self._max_boxes + TOLERANCE or self.seconds >= self._max_seconds

    def __str__(self) -> str:
        return f"{self.boxes:.1f} boxes, {self.seconds:.0f} s of accelerator time"
