"""Evolution and the plain baselines it has to beat, through the same engine, archive and report."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deap import base

from evolve.archive.repository import Archive
from evolve.breeding import Operators
from evolve.individual import Individual, Offspring
from evolve.toolbox import make_toolbox
from evolve.tuning import Tuner
from evolve.variation.operators import random_settings


@dataclass(frozen=True)
class Strategy:
    """How offspring are made and who stays; the budget and the confirmation of the champion are the same for all."""

    description: str
    one_incumbent: bool = False  # a population of one
    from_seed: bool = False  # every offspring is made from the seed genome
    mutate: Callable[[Individual, random.Random], Offspring] | None = None  # None: the catalogue
    honest: bool = False  # replicates, racing, noise-aware selection, crossover and the numeric operator


STRATEGIES = {
    "evolve": Strategy("a population, crossover, replicates, racing, numeric operator", honest=True),
    "hillclimb": Strategy("one incumbent, kept until an offspring scores better", one_incumbent=True),
    "best-of-n": Strategy("mutations of the seed genome, the best one wins", from_seed=True),
    "random": Strategy("all constants at random, the best one wins", from_seed=True, mutate=random_settings),
}


def plan(strategy: Strategy, pop: int, gens: int) -> tuple[int, int]:
    """Size of the population, and generations of that size for the same number of births."""
    return (1, pop * gens) if strategy.one_incumbent else (pop, gens)


def toolbox(strategy: Strategy, archive: Archive, selection: str) -> base.Toolbox:
    """The DEAP toolbox of a strategy; a baseline's selection is always plain."""
    box = make_toolbox(archive, selection if strategy.honest else "plain")
    if strategy.mutate is not None:
        box.register("mutate", strategy.mutate)
    if strategy.from_seed:
        box.register("select", _seed_genome, archive)
    return box


def operators(strategy: Strategy, archive: Archive, refused: Mapping[str, int] | None = None) -> Operators:
    """What writes the offspring where no language model does; `refused`: the counts of earlier engines."""
    if not strategy.honest:
        return Operators(refused, crossover=False)
    return Operators(refused, tuner=Tuner(archive))


def _seed_genome(archive: Archive, population: Sequence[Individual], rng: random.Random) -> Individual:
    return archive.individuals[0]
