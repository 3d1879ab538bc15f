"""The step count as a control variate: what a score owes to the machine having been slow or quick."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from evolve.individual import Outcome
from evolve.noise import Array

LEAST_KIN = 5  # individuals of a kind, itself included, before it is known what a step of that kind costs
LATEST = 300  # individuals of a kind, and genomes with replicates, that count: bounds the cost of a fit
LEAST_DEGREES = 3  # of freedom, before replicates say what speed does to a score

Kind = Hashable


@dataclass(frozen=True)
class Pace:
    """How far a run came in its box. A step of runs of one `kind` is made of the same: model size and batch."""

    kind: Kind
    steps: int


def pace_of(outcome: Outcome) -> Pace | None:
    """None where the run did not say, as one that prints its own score."""
    if not outcome.steps or not outcome.tokens or outcome.parameters is None:
        return None
    return Pace((outcome.device, outcome.parameters, round(outcome.tokens / outcome.steps)), outcome.steps)


@dataclass(frozen=True)
class _Fit:
    slope: float  # of the score on log(steps), within genomes
    within: float  # variance of log(steps) within genomes: the machine's
    kinds: dict[Kind, tuple[float, float]]  # usual log(steps); variance between genomes: what they cost


class Throughput:
    """Corrects scores for the machine's uneven speed, run by run.

    log(steps) of a run is what its genome costs plus how quick the machine was. Replicates of one genome differ in
    the second alone: the slope of the score on log(steps) within genomes is what speed does to a score. Of the distance
    of an individual's mean log(steps) from the usual one of its kind, the share s / (s + t) is the machine's in
    expectation, where s is the variance of that mean by the machine and t the variance between genomes (the best
    linear predictor of a random effect, Henderson 1975). `shift` undoes that share, and no more: a genome
    that is truly quicker keeps what it gains by it.

    The spread between replicates is not reduced: a run's noise goes on including the machine's, so that no
    estimate claims a precision which is not there.
    """

    def __init__(self) -> None:
        self._runs: dict[int, list[tuple[float, float]]] = {}  # individual -> (score, log(steps))
        self._repeated: dict[int, list[tuple[float, float]]] = {}  # those with replicates, in order of the first
        self._kinds: dict[Kind, dict[int, float]] = {}  # mean log(steps) of each individual
        self._kind: dict[int, Kind] = {}
        self._fit: _Fit | None = None

    def take(self, individual: int, score: float, pace: Pace) -> None:
        """One more run."""
        runs = self._runs.setdefault(individual, [])
        if runs:
            self._repeated[individual] = runs
        runs.append((score, math.log(pace.steps)))
        self._kind[individual] = pace.kind
        self._kinds.setdefault(pace.kind, {})[individual] = _mean_log_steps(runs)
        self._fit = None

    def shift(self, individual: int) -> float:
        """What to add to an individual's scores, in the metric's unit; 0 while too little is known."""
        if individual not in self._runs:
            return 0.0
        if self._fit is None:
            self._fit = self._fitted()
        kind = self._kind[individual]
        if not self._fit.slope or kind not in self._fit.kinds:
            return 0.0
        usual, between = self._fit.kinds[kind]
        machine = self._fit.within / len(self._runs[individual])
        distance = self._kinds[kind][individual] - usual
        return -self._fit.slope * machine / (machine + between) * distance

    def _fitted(self) -> _Fit:
        groups = list(self._repeated.values())[-LATEST:]
        slope = step_slope(groups)
        if not slope:
            return _Fit(0.0, 0.0, {})
        logs = [np.array([log for _, log in group]) for group in groups]
        within = sum(float(np.sum((x - x.mean()) ** 2)) for x in logs) / sum(len(x) - 1 for x in logs)
        kinds = {}
        for kind, means in self._kinds.items():
            if len(means) >= LEAST_KIN:
                latest = list(means.items())[-LATEST:]
                spread = _robust_variance(np.array([mean for _, mean in latest]))
                machine = within * float(np.mean([1 / len(self._runs[id]) for id, _ in latest]))
                kinds[kind] = (float(np.median([mean for _, mean in latest])), max(spread - machine, 0.0))
        return _Fit(slope, within, kinds)


def step_slope(groups: Sequence[Sequence[tuple[float, float]]]) -> float:
    """Slope of the score on log(steps) within genomes.

    Each group holds (score, log(steps)) of the replicates of one genome. The pooled least-squares slope is
    shrunk by 1 - 1/t^2 (James and Stein's factor, t its t-statistic), so that it is zero where the data do
    not show one. Zero too where there are fewer than four runs beyond one a genome.
    """
    usable = [np.array(group) for group in groups if len(group) > 1]
    degrees = sum(len(group) - 1 for group in usable) - 1
    if degrees < LEAST_DEGREES:
        return 0.0
    centred = np.concatenate([group - group.mean(axis=0) for group in usable])
    scores, steps = centred[:, 0], centred[:, 1]
    spread = float(steps @ steps)
    if spread == 0:
        return 0.0
    slope = float(steps @ scores) / spread
    variance = float(np.sum((scores - slope * steps) ** 2)) / degrees / spread
    return slope * max(0.0, 1.0 - variance / slope**2) if slope else 0.0


def _mean_log_steps(runs: Sequence[tuple[float, float]]) -> float:
    return sum(log for _, log in runs) / len(runs)


def _robust_variance(values: Array) -> float:
    """From the median absolute deviation: one genome that is ten times slower is no reason to trust nobody's steps."""
    return float(1.4826 * np.median(np.abs(values - np.median(values)))) ** 2
