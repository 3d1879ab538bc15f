"""The champion: chosen among the best few by further runs, then measured by fresh ones that nothing was chosen by."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evolve.arena import Direction
from evolve.estimates import Estimates
from evolve.individual import CHOICE, FRESH, Individual
from evolve.noise import Noise, pooled_noise

CONTENDERS = 3
CHOICE_RUNS = 2  # a contender
SERIOUS = 0.1  # probability of being better than the best that makes a contender
LEAST_FRESH = 2  # fresh runs, before an individual counts as confirmed

Pair = tuple[int, int]  # individual, replicate


@dataclass(frozen=True)
class Confirmation:
    """What fresh runs alone say of an individual: mean and 95 % interval in the metric's unit.

    They are scored on a validation split of their own, as those of the search are.
    """

    mean: float
    low: float
    high: float
    runs: int
    seed_mean: float
    seed_runs: int
    probability: float  # that it is better than the seed genome
    gain: float  # over the seed genome's mean, in the direction of the metric
    apparent: float  # gain that the runs of the search showed; NaN where they gave no score
    noise: Noise  # of one run, the fresh ones included

    @property
    def real_share(self) -> float:
        """Of the apparent gain; NaN where there was none."""
        return self.gain / self.apparent if self.apparent > 0 else math.nan


def contenders(estimates: Estimates) -> list[int]:
    """The best individual of the search and those that may well be better, best first."""
    best, *others = estimates.ranked(CONTENDERS)
    posterior = estimates.posterior
    return [best, *(one for one in others if posterior.probability_better(one, best) >= SERIOUS)]


def outstanding(
    search: Estimates, choice: Estimates, individuals: Mapping[int, Individual], runs: int, seed: int
) -> list[Pair]:
    """The runs still to be made until the champion is confirmed, in order, interleaved; empty where it is.

    `search` knows the runs before CHOICE, `choice` those before FRESH. Two stages: those that tell
    the contenders apart, then `runs` of the chosen one and of the seed genome: a figure from the runs by which
    it was chosen would flatter it again. Where nothing beats the seed genome, there is nothing to confirm.
    """
    names = contenders(search)
    if names == [seed] or not runs:
        return []
    if len(names) > 1:
        wanted = [(one, CHOICE + k) for k in range(CHOICE_RUNS) for one in names]
        if missing := _not_done(wanted, individuals):
            return missing
    chosen = best_of(choice, names)
    if chosen == seed:
        return []
    return _not_done([(one, FRESH + k) for k in range(runs) for one in (chosen, seed)], individuals)


def _not_done(wanted: Sequence[Pair], individuals: Mapping[int, Individual]) -> list[Pair]:
    done = {id: individuals[id].done for id, _ in wanted}
    return [(id, replicate) for id, replicate in wanted if replicate not in done[id]]


def best_of(estimates: Estimates, names: Sequence[int]) -> int:
    """The best of some individuals by shrunken value; the first named among equals."""
    rank = {one: place for place, one in enumerate(estimates.posterior.ranked())}
    return min(names, key=lambda one: rank.get(one, len(rank)))


def search_scores(individual: Individual) -> list[float]:
    """Scores of the runs that the search went by."""
    return [one.score for one in individual.outcomes if one.replicate < CHOICE and one.score is not None]


def confirmed(individuals: Iterable[Individual]) -> Individual | None:
    """Of the individuals with LEAST_FRESH fresh scores, the one with the best mean of these.

    None where no more than the seed genome, whose fresh runs are the yardstick, has as many.
    """
    known = [one for one in individuals if len(one.fresh_scores) >= LEAST_FRESH]
    if not any(one.parents for one in known):
        return None
    return max(known, key=lambda one: (one.fitness.weights[0] * statistics.fmean(one.fresh_scores), -one.id))


def confirmation(individual: Individual, seed: Individual, noise: Noise, direction: Direction) -> Confirmation | None:
    """What the fresh runs say; None with too few of them.

    `noise` is what the search knew of one run's. It counts beside the spread of the fresh runs themselves, which a
    machine that has become busier since may have made larger.
    """
    own, base = individual.fresh_scores, seed.fresh_scores
    if len(own) < LEAST_FRESH or len(base) < LEAST_FRESH:
        return None
    noise = pooled_noise([own, base], noise.sd, noise.degrees)
    sign = 1.0 if direction is Direction.MIN else -1.0
    wide = student_975(noise.degrees)
    mean, seed_mean = statistics.fmean(own), statistics.fmean(base)
    half = wide * noise.sd / math.sqrt(len(own))
    gain = sign * (seed_mean - mean)
    # A Student tail has no closed form for any degrees of freedom: a normal one as wide at 95 % stands in.
    spread = wide / 1.96 * noise.sd * math.sqrt(1 / len(own) + 1 / len(base))
    seen, seen_base = search_scores(individual), search_scores(seed)
    apparent = sign * (statistics.fmean(seen_base) - statistics.fmean(seen)) if seen and seen_base else math.nan
    return Confirmation(
        mean,
        mean - half,
        mean + half,
        len(own),
        seed_mean,
        len(base),
        statistics.NormalDist().cdf(gain / spread),
        gain,
        apparent,
        noise,
    )


def student_975(degrees: float) -> float:
    """The 97.5 % quantile of Student's distribution (Abramowitz and Stegun 26.7.5), to 0.1 % from 3 degrees on.

    Below, the true quantile is larger still; 3 is what the first three runs of the seed genome and the prior give.
    """
    z, n = 1.959964, max(degrees, 3.0)
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + ((3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3))
    )
