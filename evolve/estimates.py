"""What all runs so far say of the individuals: the noise of one run, who is best, and on whom a decision hangs."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence

from evolve.arena import Direction
from evolve.individual import FRESH, Individual, Outcome
from evolve.noise import Noise, Posterior, pooled_noise
from evolve.replication import Candidate, replicate_candidates
from evolve.throughput import Pace, Throughput, pace_of

POOL = 200  # individuals with the best means that the posterior is about: bounds its cost, 4 ms or so
GROUPS = 300  # genomes with replicates, the latest, that the noise is pooled from
RELATIVE_NOISE = 0.0005  # prior guess of a run's standard deviation, as a share of the seed genome's score
PRIOR_DEGREES = 1.0  # it counts as much as one replicate


class Estimates:
    """The scores of all individuals and what follows from them, kept up to date run by run.

    A pure function of the runs taken and of their order: an engine that reads them from an archive knows
    what the one that wrote them knew. Nothing is computed before it is asked for.
    """

    def __init__(self, direction: Direction, *, before: int) -> None:
        """Replicates numbered `before` and above are left out: the champion is confirmed by them, not chosen."""
        self._direction = direction
        self._sign = 1.0 if direction is Direction.MIN else -1.0
        self._before = before
        self._scores: dict[int, list[float]] = {}
        self._by_mean: list[tuple[float, int]] = []  # (signed mean, id), best first
        self._repeated: dict[int, list[float]] = {}  # in order of the first repeat
        self._last = 0  # born of those with a score
        self._throughput = Throughput()
        self._noise: Noise | None = None
        self._posterior: Posterior[int] | None = None

    def take(self, individual: int, replicate: int, score: float | None, pace: Pace | None = None) -> None:
        """One more run; a failure (no score) says nothing of the value. `pace`: by which uneven speed is corrected."""
        if score is None or replicate >= self._before:
            return
        if pace is not None:
            self._throughput.take(individual, score, pace)
        self._last = max(self._last, individual)
        scores = self._scores.setdefault(individual, [])
        if scores:
            del self._by_mean[bisect_left(self._by_mean, (self._mean(individual), individual))]
            self._repeated[individual] = scores
            self._noise = None
        scores.append(score)
        insort(self._by_mean, (self._mean(individual), individual))
        self._posterior = None

    def _mean(self, individual: int) -> float:
        scores = self._scores[individual]
        return self._sign * (sum(scores) / len(scores))

    @property
    def measured(self) -> bool:
        return bool(self._scores)

    @property
    def noise(self) -> Noise:
        """Of one run. Raises ValueError before the first score."""
        if not self._scores:
            raise ValueError("nothing was measured yet")
        if self._noise is None:
            first = abs(next(iter(self._scores.values()))[0])
            groups = list(self._repeated.values())[-GROUPS:]
            self._noise = pooled_noise(groups, RELATIVE_NOISE * max(first, 1e-6), PRIOR_DEGREES)
        return self._noise

    @property
    def posterior(self) -> Posterior[int]:
        """Over the POOL best, their scores as at an even speed. Raises ValueError before the first score."""
        if self._posterior is None:
            pool = {id: self._throughput.shift(id) for _, id in self._by_mean[:POOL]}
            runs = {id: [score + shift for score in self._scores[id]] for id, shift in pool.items()}
            self._posterior = Posterior(runs, self.noise, self._direction)
        return self._posterior

    def ranked(self, count: int) -> list[int]:
        """The `count` best by shrunken value, best first; of equals, the better mean, then the earlier born."""
        return self.posterior.ranked()[:count]

    def by_mean(self, count: int) -> list[int]:
        """The `count` best by plain mean, best first; of equals, the earlier born."""
        return [id for _, id in self._by_mean[:count]]

    def means(self, count: int) -> list[float]:
        """The `count` best means, best first, in the metric's own sign."""
        return [self._sign * mean for mean, _ in self._by_mean[:count]]

    def candidates(self, mu: int, children: Mapping[int, int]) -> Sequence[Candidate[int]]:
        """Who deserves one more run; see `replicate_candidates`."""
        return replicate_candidates(self.posterior, mu, children)

    def gain_per_birth(self, latest: int) -> float:
        """By how much each of the `latest` births made the best individual better, on average; the metric's unit.

        As their values are estimated now. Infinite before the first birth.
        """
        ranked = self.posterior.ranked()
        since = max(self._last - latest, 0)
        before = next((id for id in ranked if id <= since), None)
        if before is None or not self._last:
            return math.inf
        gain = self._sign * (self.posterior.value(before) - self.posterior.value(ranked[0]))
        return gain / (self._last - since)


def estimates_of(runs: Iterable[tuple[Individual, Outcome]], direction: Direction, before: int = FRESH) -> Estimates:
    """What an engine knew after these runs, in order of arrival."""
    estimates = Estimates(direction, before=before)
    for individual, outcome in runs:
        estimates.take(individual.id, outcome.replicate, outcome.score, pace_of(outcome))
    return estimates
