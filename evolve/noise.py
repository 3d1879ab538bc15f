"""What noisy scores say: the noise of one run, an individual's value given its runs, and who is better."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from evolve.arena import Direction

Array = NDArray[np.float64]
Key = TypeVar("Key", bound=Hashable)

HUBER = 2.5  # standard deviations beyond which a residual counts as this much and no more
HUBER_SQUARE = 0.97765  # E[min(z^2, HUBER^2)] of a standard normal z
TAIL_DEGREES = 4.0  # of the Student distribution of a run's noise: measured tails are far from normal
STEP = 0.25  # of the grid of true values, in standard deviations of a run
BELOW, ABOVE = 5.0, 25.0  # how far the grid reaches beyond the best mean, in the same unit
EM_STEPS = 60  # few: they smooth the prior, where its maximum likelihood would be a handful of spikes


@dataclass(frozen=True)
class Noise:
    """Standard deviation of one run's score, in the metric's unit, and the degrees of freedom it rests on."""

    sd: float
    degrees: float


def pooled_noise(groups: Sequence[Sequence[float]], prior_sd: float, prior_degrees: float = 4.0) -> Noise:
    """The noise of one run from replicates, each group the scores of one genome.

    Huber's proposal 2 on the residuals within groups (consistent for normal noise; one broken run cannot
    carry it away), its square then averaged with the prior's by degrees of freedom. Groups of one say
    nothing. Raises ValueError where `prior_sd` is not above zero.
    """
    if not prior_sd > 0:
        raise ValueError(f"the prior standard deviation of the noise must be above zero, not {prior_sd}")
    usable = [np.asarray(group, dtype=float) for group in groups if len(group) > 1]
    degrees = float(sum(len(group) - 1 for group in usable))
    if not degrees:
        return Noise(prior_sd, prior_degrees)
    # The median of three or more is not drawn by an outlier; sqrt(n / (n - 1)) undoes the centring's loss.
    residuals = np.concatenate([(g - g.mean()) * math.sqrt(len(g) / (len(g) - 1)) for g in usable])
    weights = np.concatenate([np.full(len(g), (len(g) - 1) / len(g)) for g in usable])
    variance = _huber_variance(residuals, weights)
    pooled = (prior_degrees * prior_sd**2 + degrees * variance) / (prior_degrees + degrees)
    return Noise(math.sqrt(pooled), prior_degrees + degrees)


def _huber_variance(residuals: Array, weights: Array) -> float:
    squares = residuals**2
    variance = float(np.average(squares, weights=weights))
    for _ in range(100):
        if variance == 0:
            return 0.0
        clipped = np.minimum(squares, HUBER**2 * variance)
        following = float(np.average(clipped, weights=weights)) / HUBER_SQUARE
        if abs(following - variance) < 1e-9 * variance:
            break
        variance = following
    return following


@dataclass(frozen=True)
class Estimate:
    """What an individual's runs say of its true value, in the metric's unit.

    `value` is shrunk, so that the best of many is not too good to be true. `stderr` and the 95 % interval
    (`low`, `high`) are of the posterior; `runs` counts what they rest on.
    """

    value: float
    stderr: float
    low: float
    high: float
    runs: int


class Posterior(Generic[Key]):
    """The true values of many individuals, given all their runs: empirical Bayes.

    The prior is what the individuals themselves look like: masses on a grid by the EM algorithm of the
    nonparametric maximum likelihood (Kiefer and Wolfowitz 1956; Jiang and Zhang 2009), so neither a normal
    shape nor one spread is assumed: a population has a crowd near its best and a long bad tail, and the
    crowd, not the tail, decides how lucky the best was. A posterior under a right prior needs no correction
    for having picked the best, nor for having chosen by the scores whom to run again. A run's noise is
    Student's with four degrees of freedom, so that one lucky run yields to two ordinary ones. Intervals and
    probabilities take the prior smoothed by three quarters of a standard deviation, without which its spikes claim to
    know more than they do.

    Individuals far worse than the best keep their means: nothing hangs on them.
    """

    def __init__(self, runs: Mapping[Key, Sequence[float]], noise: Noise, direction: Direction) -> None:
        """`runs`: the scores of each individual. Raises ValueError where one has none, or none is given."""
        if not runs or not all(len(scores) for scores in runs.values()):
            raise ValueError("every individual of a posterior needs at least one score")
        self.noise = noise
        self._sign = 1.0 if direction is Direction.MIN else -1.0
        self._runs = dict(runs)
        self._means = means = {key: self._sign * sum(scores) / len(scores) for key, scores in runs.items()}
        best = min(means.values())
        self._grid: Array = best + noise.sd * np.arange(-BELOW, ABOVE, STEP)
        reach = best + noise.sd * (ABOVE - BELOW)
        near = [key for key, mean in means.items() if mean < reach]
        likelihood = self._likelihood([runs[key] for key in near])
        prior = _nonparametric_prior(likelihood)
        sharp = _posterior(likelihood, prior)
        smooth = _posterior(likelihood, _smoothed(prior))
        self._values = dict(zip(near, sharp @ self._grid, strict=True))
        self._masses: dict[Key, Array] = dict(zip(near, smooth, strict=True))

    def estimate(self, key: Key) -> Estimate:
        """The estimate of one individual. Raises KeyError where it has no runs."""
        scores = self._sign * np.asarray(self._runs[key], dtype=float)
        if key not in self._masses:
            mean, stderr = float(scores.mean()), self.noise.sd / math.sqrt(len(scores))
            bounds = sorted(self._sign * (mean + side * 1.96 * stderr) for side in (-1, 1))
            return Estimate(self._sign * mean, stderr, bounds[0], bounds[1], len(scores))
        mass = self._masses[key]
        centre = float(mass @ self._grid)
        stderr = math.sqrt(max(float(mass @ (self._grid - centre) ** 2), 0.0))
        value = float(self._values[key])
        cumulated = np.cumsum(mass)
        half = STEP * self.noise.sd / 2
        # The shrunken value lies inside its own interval, also where smoothing moved that away from it.
        low = min(float(self._grid[np.searchsorted(cumulated, 0.025)]) - half, value)
        last = min(int(np.searchsorted(cumulated, 0.975)), len(self._grid) - 1)
        high = max(float(self._grid[last]) + half, value)
        bounds = sorted((self._sign * low, self._sign * high))
        return Estimate(self._sign * value, stderr, bounds[0], bounds[1], len(scores))

    def probability_better(self, one: Key, other: Key) -> float:
        """Probability that the true value of `one` is better than that of `other`; 0.5 of an individual with itself."""
        if one == other:
            return 0.5
        if one in self._masses and other in self._masses:
            beyond = 1.0 - np.cumsum(self._masses[other])
            return float(np.clip(self._masses[one] @ (beyond + 0.5 * self._masses[other]), 0.0, 1.0))
        a, b = self.estimate(one), self.estimate(other)
        gap = self._sign * (b.value - a.value) / math.hypot(a.stderr, b.stderr)
        return 0.5 * math.erfc(-gap / math.sqrt(2))

    def value(self, key: Key) -> float:
        """The shrunken value alone: what `estimate` gives, at a hundredth of its cost."""
        inside = self._values.get(key)
        return self._sign * (self._means[key] if inside is None else float(inside))

    def runs(self, key: Key) -> int:
        """How many scores the individual's estimate rests on."""
        return len(self._runs[key])

    def ranked(self) -> list[Key]:
        """The individuals by shrunken value, best first; of equals, in the order given."""
        return sorted(self._runs, key=lambda key: self._sign * self.value(key))

    def _likelihood(self, groups: Sequence[Sequence[float]]) -> Array:
        """Likelihood of each individual's runs at each value of the grid, scaled to a maximum of one; shape
        (individuals, values).
        """
        # 0.8: the Student scale whose middle 95 % are as wide as those of a normal with the noise's deviation.
        scores = self._sign * np.fromiter(chain.from_iterable(groups), dtype=float)
        distances = (scores[:, None] - self._grid[None, :]) / (0.8 * self.noise.sd)
        logs = -(TAIL_DEGREES + 1) / 2 * np.log1p(distances**2 / TAIL_DEGREES)
        first_runs = np.cumsum([0, *(len(group) for group in groups[:-1])])
        logs = np.add.reduceat(logs, first_runs, axis=0)
        return np.asarray(np.exp(logs - logs.max(axis=1, keepdims=True)))


def _nonparametric_prior(likelihood: Array) -> Array:
    """EM: each step's prior is the mean of the posteriors, here without writing these out."""
    individuals, values = likelihood.shape
    prior = np.full(values, 1.0 / values)
    transposed = np.ascontiguousarray(likelihood.T)
    for _ in range(EM_STEPS):
        prior = prior * (transposed @ (1.0 / (likelihood @ prior))) / individuals
    return prior


def _posterior(likelihood: Array, prior: Array) -> Array:
    joint = likelihood * prior
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))


def _smoothed(prior: Array) -> Array:
    offsets = STEP * np.arange(-9, 10)
    kernel = np.exp(-0.5 * (offsets / 0.75) ** 2)
    return np.convolve(prior, kernel / kernel.sum(), mode="same")
