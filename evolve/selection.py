"""Who becomes a parent, and who survives."""

from __future__ import annotations

import random
from collections.abc import Sequence

from deap import tools

from evolve.individual import Individual


def tournament(population: Sequence[Individual], rng: random.Random, size: int) -> Individual:
    """The fittest of `size` individuals drawn with replacement; the earliest born among equals."""
    drawn = sorted((rng.choice(population) for _ in range(size)), key=lambda one: one.id)
    best: Individual = tools.selBest(drawn, 1)[0]
    return best


def survivors(individuals: Sequence[Individual], mu: int) -> list[Individual]:
    """The `mu` fittest of parents and offspring together, best first; of equals, the earlier born.

    Only measured individuals survive: a failure is archived but never a parent.
    """
    measured = sorted((one for one in individuals if one.fitness.measured), key=lambda one: one.id)
    best: list[Individual] = tools.selBest(measured, mu)
    return best
