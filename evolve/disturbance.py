"""Runs on a GPU that were slower than the archive's own: what they measured is not the genome."""

from __future__ import annotations

import statistics
from collections import defaultdict, deque

from evolve.individual import Outcome, Status

STEP_SLACK = 0.05  # by which a step may be longer than in other runs of the same genome
CLOCK_SLACK = 0.07  # by which the clock may be lower than in the latest runs of the archive
LATEST = 50
LEAST_CLOCKS = 3


class Disturbance:
    """Knows the steps and clocks of the runs so far. Runs on a CPU are left alone: there, time is shared."""

    def __init__(self) -> None:
        self._steps: defaultdict[int, list[float]] = defaultdict(list)  # seconds a step, by individual
        self._clocks: deque[float] = deque(maxlen=LATEST)  # MHz

    def take(self, outcome: Outcome) -> None:
        """One more outcome of the archive; a disturbed one is no yardstick."""
        if outcome.status is not Status.OK or not outcome.device.startswith("cuda"):
            return
        if (step := _step(outcome)) is not None:
            self._steps[outcome.individual].append(step)
        if outcome.clock_mhz is not None:
            self._clocks.append(outcome.clock_mhz)

    def judge(self, outcome: Outcome) -> Outcome:
        """The outcome, marked as disturbed where it was slower than it should have been."""
        if outcome.status is not Status.OK or not outcome.device.startswith("cuda"):
            return outcome
        step, others = _step(outcome), self._steps.get(outcome.individual, [])
        if step is not None and others and step > (1 + STEP_SLACK) * statistics.median(others):
            usual = statistics.median(others)
            return outcome.disturbed(f"a step took {1000 * step:.1f} ms, {1000 * usual:.1f} ms in its other runs")
        if outcome.clock_mhz is not None and len(self._clocks) >= LEAST_CLOCKS:
            usual = statistics.median(self._clocks)
            if outcome.clock_mhz < (1 - CLOCK_SLACK) * usual:
                return outcome.disturbed(f"the GPU's clock was {outcome.clock_mhz:.0f} MHz, {usual:.0f} MHz usually")
        return outcome


def _step(outcome: Outcome) -> float | None:
    seconds = outcome.seconds.get("training", 0.0)
    return seconds / outcome.steps if outcome.steps and seconds > 0 else None
