"""Simulated learning curves: as much of the final score in them, at each share of the box, as in public logs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Share of the box; correlation of the residual there with the final one; its standard deviation over the final one's.
PROGRESS = (0.0, 0.2, 0.3, 0.5, 0.7, 0.8, 1.0)
CORRELATION = (0.0, 0.20, 0.35, 0.54, 0.78, 0.90, 1.0)
SPREAD = (3.5, 2.8, 2.3, 1.8, 1.25, 1.1, 1.0)
REFERENCE = 0.98  # BPB of a typical good run, whose curve has residual zero throughout
FINAL_SPREAD = 0.001  # BPB; residuals of kept and discarded runs around the incumbent of a public hill-climb
POINTS = 40
MEMORY = 0.9  # correlation of what is a curve's own from one point to the next


def learning_curve(score: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """(progress, loss) of a run that ends at `score`, POINTS of them.

    With the final residual r = score - REFERENCE of standard deviation s, the residual at a share of the box
    is k (c r + sqrt(1 - c^2) s z), where c and k are the correlation and the ratio of the tables and z is a
    standard normal that wanders slowly (an autoregression), as a run that is ahead stays so for a while.
    """
    residual = score - REFERENCE
    wander = rng.standard_normal()
    curve = []
    for point in range(1, POINTS + 1):
        progress = point / POINTS
        correlation = float(np.interp(progress, PROGRESS, CORRELATION))
        spread = float(np.interp(progress, PROGRESS, SPREAD))
        own = math.sqrt(1.0 - correlation**2) * FINAL_SPREAD * wander
        typical = REFERENCE + 1.2 * (progress**-0.25 - 1.0)
        curve.append((progress, typical + spread * (correlation * residual + own)))
        wander = MEMORY * wander + math.sqrt(1.0 - MEMORY**2) * rng.standard_normal()
    return curve
