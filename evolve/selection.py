"""Who becomes a parent, and who survives."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from evolve.estimates import Estimates
from evolve.individual import Individual


def tournament(population: Sequence[Individual], rng: random.Random, size: int) -> Individual:
    """The fittest of `size` individuals drawn with replacement; `population` is best first."""
    return population[min(rng.randrange(len(population)) for _ in range(size))]


def noise_aware_survivors(individuals: Mapping[int, Individual], estimates: Estimates, mu: int) -> list[Individual]:
    """The `mu` best of all measured individuals by their shrunken estimates, best first.

    A lucky single run counts for less than the same score over several. Of equals, the earlier born.
    """
    return [individuals[id] for id in estimates.ranked(mu)] if estimates.measured else []


def plain_survivors(individuals: Mapping[int, Individual], estimates: Estimates, mu: int) -> list[Individual]:
    """The `mu` best of all measured individuals by their mean scores, best first; of equals, the earlier born."""
    return [individuals[id] for id in estimates.by_mean(mu)]
