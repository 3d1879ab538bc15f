"""Racing: whether a running trial's learning curve is so far behind that it cannot enter the population."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evolve.arena import Direction
from evolve.randomness import generator

Array = NDArray[np.float64]
Curve = Sequence[tuple[float, float]]  # (progress 0..1, training loss)

CHECKPOINTS = tuple(step / 20 for step in range(2, 20))  # 0.1 to 0.95
SCHEDULE_FROM = 0.7  # an edited schedule bends the curve: before this, it says nothing about the end
WINDOW = 0.08  # share of the box whose points are averaged into the loss at a checkpoint
LEAST_CURVES = 25  # finished ones, before anything is stopped
LEAST_FITTED = 40  # curves near the cut that the margin rests on; all, where there are fewer
LEAST_ENTRANTS, MOST_ENTRANTS = 20, 100  # the latest, whose leads over the cut the margin counts on; none below
TAIL = 0.2  # of what entrants fall behind, from which the rarest is extrapolated


@dataclass(frozen=True)
class FinishedCurve:
    """A run that trained to the end of its box: what racing is calibrated on.

    `entered`: its score put it into the population. `let_through_at`: the progress at which it would
    have been stopped, had it not been one of those let through; None where it was never behind. `lead`: by how much
    the score was better than the cut when it arrived, above zero for those that entered; infinite while there was room.
    """

    curve: Curve
    score: float
    entered: bool
    touches_schedule: bool = False
    let_through_at: float | None = None
    lead: float = math.inf

    @cached_property
    def losses(self) -> dict[float, float]:
        """Loss at each of the CHECKPOINTS, computed once: every new cut asks for them again."""
        return {checkpoint: loss_at(self.curve, checkpoint) for checkpoint in CHECKPOINTS}

    def loss_at(self, progress: float) -> float:
        known = self.losses.get(progress)
        return loss_at(self.curve, progress) if known is None else known


@dataclass(frozen=True)
class Verdict:
    """What racing says of a running curve. `behind` is in units of its margin: above 1 it is losing."""

    stop: bool
    losing: bool  # also True where the run is let through
    progress: float  # the checkpoint judged at; 0 where there was none to judge at
    behind: float


GO_ON = Verdict(stop=False, losing=False, progress=0.0, behind=0.0)


@dataclass(frozen=True)
class _Line:
    """Loss at a checkpoint of a run, given its final score: intercept + slope * score, with `spread` around it."""

    intercept: float
    slope: float
    spread: float


class RacingRule:
    """Stops runs that are clearly losing; calibrated on finished curves, and never promotes.

    At each checkpoint the loss of finished runs is regressed on their final score. A run that would enter the
    population ends `lead` better than the cut, so its loss at the checkpoint is the line's value there plus its own
    deviation from the line. It is stopped where it lies further above the line's value at the cut than the margin:
    the quantile, at one minus the bound, of the *largest* standardised distance over all checkpoints (so that
    looking often costs nothing) that would-be entrants have. Their leads are those of the latest entrants, their
    deviations those of the finished runs nearest the cut, in all pairs. Beyond the 0.8 quantile of the distances
    an exponential tail stands in (peaks over a threshold, Pickands 1975), in its predictive form, which is wider
    the fewer it rests on: so few curves say little of what happens once in a hundred times. So
    P(stopped | would have entered) <= bound as far as entrants to come are like those of late. Regressing the loss on
    the score, not the score on the loss, keeps a good run that started slowly from being judged by the average run.

    `let_through` of the individuals that would be stopped, chosen by their id, go on: without them the rule
    would never learn of its own mistakes.
    """

    def __init__(
        self,
        finished: Sequence[FinishedCurve],
        direction: Direction,
        *,
        bound: float = 0.01,
        let_through: float = 0.08,
        checkpoints: Sequence[float] = CHECKPOINTS,
        least_curves: int = LEAST_CURVES,
    ) -> None:
        if not 0 < bound < 1:
            raise ValueError(f"the bound on false stops must lie between 0 and 1, not {bound}")
        if not 0 <= let_through < 1:
            raise ValueError(f"the share let through must lie between 0 and 1, not {let_through}")
        self.bound = bound
        self.let_through = let_through
        self.checkpoints = tuple(sorted(checkpoints))
        self._finished = [one for one in finished if one.curve and math.isfinite(one.score)]
        self._sign = 1.0 if direction is Direction.MIN else -1.0
        self._least = least_curves
        self._calibrated: tuple[float, dict[float, _Line], float] | None = None  # for one cut

    @property
    def ready(self) -> bool:
        """Whether there are enough finished curves to judge by."""
        return len(self._finished) >= self._least

    def judge(self, curve: Curve, cut: float, *, seed: int, individual: int, touches_schedule: bool = False) -> Verdict:
        """Whether to stop a run, from its curve so far; `cut` is the score it must beat to enter the population,
        infinite while there is room.
        """
        progress = curve[-1][0] if curve else 0.0
        reached = [
            one for one in self.checkpoints if one <= progress and (one >= SCHEDULE_FROM or not touches_schedule)
        ]
        if not self.ready or not reached or math.isinf(cut):
            return GO_ON
        # A loss that is no number any more has exploded.
        curve = [(at, loss if math.isfinite(loss) else math.inf) for at, loss in curve]
        lines, margin = self._calibration(cut)
        behind, where = 0.0, 0.0
        for checkpoint in reached:
            if checkpoint not in lines:
                continue
            line = lines[checkpoint]
            expected = line.intercept + line.slope * self._sign * cut
            deviation = (loss_at(curve, checkpoint) - expected) / (line.spread * margin)
            if deviation > behind:
                behind, where = deviation, checkpoint
        losing = behind > 1.0
        return Verdict(losing and not self._lets_through(seed, individual), losing, where, behind)

    def _lets_through(self, seed: int, individual: int) -> bool:
        return generator(seed, individual, "racing").random() < self.let_through

    def _calibration(self, cut: float) -> tuple[dict[float, _Line], float]:
        """Lines by checkpoint, and the margin in units of their spread, from the finished runs nearest the cut."""
        if self._calibrated is not None and self._calibrated[0] == cut:
            return self._calibrated[1:]
        count = max(LEAST_FITTED, 2 * len(self._finished) // 3)
        near = sorted(self._finished, key=lambda one: abs(one.score - cut))[:count]
        scores = self._sign * np.array([one.score for one in near])
        leads = self._leads()
        largest = np.full((len(near), len(leads)), -np.inf)
        lines: dict[float, _Line] = {}
        for checkpoint in self.checkpoints:
            comparable = [checkpoint >= SCHEDULE_FROM or not one.touches_schedule for one in near]
            losses = np.array([one.loss_at(checkpoint) for one in near])
            usable = np.asarray(comparable) & np.isfinite(losses)
            if usable.sum() < self._least // 2:
                continue
            line, deviations = _fit(scores[usable], losses[usable])
            lines[checkpoint] = line
            behind = deviations[:, None] - line.slope * leads[None, :] / line.spread
            largest[usable] = np.maximum(largest[usable], behind)
        largest = largest[np.isfinite(largest[:, 0])]
        margin = self._margin(largest) if len(largest) else math.inf
        self._calibrated = (cut, lines, margin)
        return lines, margin

    def _leads(self) -> Array:
        """By how much the latest entrants were better than the cut; nothing, the hardest case, while there are few."""
        leads = [one.lead for one in self._finished if one.entered and math.isfinite(one.lead)][-MOST_ENTRANTS:]
        return np.array(leads if len(leads) >= LEAST_ENTRANTS else [0.0])

    def _margin(self, largest: Array) -> float:
        """From the largest distances of would-be entrants, shape (runs, leads)."""
        start = float(np.quantile(largest, 1 - TAIL))
        excess = float((largest[largest > start] - start).mean())
        count = TAIL * len(largest)  # of runs in the tail: the leads add nothing to what is known of deviations
        beyond = excess * count * ((TAIL / self.bound) ** (1 / count) - 1)
        return max(start + float(beyond), 1.0)


def loss_at(curve: Curve, progress: float) -> float:
    """Mean loss of the points in the WINDOW that ends at `progress`; the last one before it where there is none."""
    before = [(at, loss) for at, loss in curve if at <= progress + 1e-9]
    if not before:
        return math.nan
    window = [loss for at, loss in before if at > progress - WINDOW]
    return sum(window) / len(window) if window else before[-1][1]


def false_stop_rate(finished: Sequence[FinishedCurve], let_through: float) -> tuple[float, int]:
    """Estimated share of would-be entrants that racing stops, and how many let-through runs it rests on.

    Each let-through run that entered stands for (1 - share) / share stopped ones that would have.
    NaN where nothing entered.
    """
    through = [one for one in finished if one.let_through_at is not None]
    entered = sum(one.entered for one in finished)
    lost = sum(one.entered for one in through) * (1 - let_through) / let_through if let_through else 0.0
    return (lost / (lost + entered) if entered else math.nan), len(through)


def _fit(scores: Array, losses: Array) -> tuple[_Line, Array]:
    """Huber regression of losses on scores: the line, and each run's standardised deviation as if left out."""
    design = np.stack([np.ones_like(scores), scores - scores.mean()], axis=1)
    weights = np.ones_like(scores)
    for _ in range(20):
        weighted = design * weights[:, None]
        gram = weighted.T @ design + 1e-12 * np.eye(2)
        coefficients = np.linalg.solve(gram, weighted.T @ losses)
        residuals = losses - design @ coefficients
        spread = max(1.4826 * float(np.median(np.abs(residuals))), 1e-12)
        weights = np.minimum(1.0, 1.5 * spread / np.maximum(np.abs(residuals), 1e-12))
    leverage = np.einsum("ij,jk,ik->i", design, np.linalg.inv(gram), design) * weights
    slope = max(float(coefficients[1]), 0.0)  # a better score goes with a lower loss, or tells nothing
    line = _Line(float(coefficients[0]) - slope * float(scores.mean()), slope, spread)
    return line, residuals / np.maximum(1 - leverage, 0.1) / spread
