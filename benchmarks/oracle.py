"""What the best possible racing rule would save on simulated curves: the yardstick for the one that has to learn.

It knows the law of the curves (`benchmarks.curves`), how many births end how far from the cut, and nothing of a
run's end but its curve so far. Optimal stopping by backward induction, as in Longstaff and Schwartz (2001).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.curves import CORRELATION, FINAL_SPREAD, MEMORY, POINTS, PROGRESS, Array
from evolve.evaluation.racing import SCHEDULE_FROM

CURVES = 20  # simulated ones a birth
BINS = 200  # of equally many curves, in which the rule tells apart what it sees
FIRST_POINT = 2  # of the curve, from which on it may stop


def best_saving(leads: Sequence[float], touches_schedule: Sequence[bool], bound: float, seed: int = 0) -> float:
    """Boxes that the rule saves on these births, when it stops the share `bound` of those that would have entered.

    `leads`: by how much a birth's score is better than the cut, in BPB; infinite where every score would enter.
    Births whose edits touch the schedule are judged from SCHEDULE_FROM on.
    """
    rng = np.random.default_rng(seed)
    ends = np.repeat(-np.asarray(leads, dtype=float), CURVES)
    late = np.repeat(np.asarray(touches_schedule, dtype=bool), CURVES)
    entrant = ends < 0
    progress = np.arange(1, POINTS + 1) / POINTS
    correlation = np.interp(progress, PROGRESS, CORRELATION)
    spread = np.sqrt(1 - correlation**2) / correlation * FINAL_SPREAD  # of a curve's guess at its end
    wander = rng.standard_normal(len(ends))
    points = []  # progress, curves in order of what is seen there, where each bin of them begins, and its size
    for point in range(POINTS - 1):
        seen = ends + spread[point] * wander
        judged = np.isfinite(ends) & (~late | (progress[point] >= SCHEDULE_FROM))
        # What could be stopped before is worth something else than what could not: the two are told apart.
        groups = [np.flatnonzero(judged & one) for one in (late, ~late)]
        bins = [bin for group in groups for bin in np.array_split(group[np.argsort(seen[group])], BINS) if len(bin)]
        sizes = np.array([len(bin) for bin in bins], dtype=int)
        if bins and point >= FIRST_POINT:
            points.append((float(progress[point]), np.concatenate(bins), np.cumsum(sizes) - sizes, sizes))
        wander = MEMORY * wander + math.sqrt(1 - MEMORY**2) * rng.standard_normal(len(ends))

    def stopped(price: float) -> tuple[Array, float]:
        """Where each curve is stopped, 1 for never, when stopping an entrant costs `price` boxes; share of entrants."""
        value, at = np.zeros(len(ends)), np.ones(len(ends))
        for progressed, order, starts, sizes in reversed(points):
            by_stopping = 1 - progressed - price * entrant[order]
            gain = np.add.reduceat(by_stopping - value[order], starts)
            chosen = np.repeat(gain > 0, sizes)
            value[order[chosen]] = by_stopping[chosen]
            at[order[chosen]] = progressed
        return at, float((at < 1)[entrant].sum()) / max(int(entrant.sum()), 1)

    low, high = 0.0, 1000.0
    for _ in range(16):
        price = math.sqrt(max(low, 0.1) * high)
        low, high = (low, price) if stopped(price)[1] <= bound else (price, high)
    return float((1 - stopped(high)[0]).sum()) / CURVES
