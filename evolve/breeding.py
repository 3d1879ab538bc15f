"""Where offspring come from: sources that the engine asks in turn, and the one that needs no help."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from evolve.errors import UserError
from evolve.individual import Individual, Offspring, Outcome
from evolve.randomness import generator
from evolve.variation.operators import Inapplicable, Reason

if TYPE_CHECKING:
    from evolve.engine import Evolution

CROSSOVER_SHARE = 0.15
CROSSOVER_AFTER = 10  # evaluated individuals: before that, parents are too close for a merge to say much
PAIRS = 12  # of parents tried for a crossover before the birth becomes a mutation
ATTEMPTS = 500  # at a new genome, before the search is called exhausted


class Exhausted(UserError):  # noqa: N818 - the state of a search
    """The operators find no genome that is not archived yet."""


class Source(Protocol):
    """Writes offspring. All calls come from the engine's thread, and none of them may wait for anything."""

    def take(self, evolution: Evolution) -> Offspring | None:
        """An offspring whose genome is not archived yet; None where this source has none now."""

    def prepare(self, evolution: Evolution) -> None:
        """Work ahead, some milliseconds at most: called several times a second while trials run."""

    def born(self, individual: Individual) -> None:
        """The offspring taken last is this individual in the archive now."""

    def told(self, individual: Individual, outcome: Outcome) -> None:
        """An outcome of any individual was archived and selected on."""


class Operators:
    """Catalogue mutation and crossover: always ready."""

    def __init__(self, refused: Mapping[str, int] | None = None, crossover_share: float = CROSSOVER_SHARE) -> None:
        """`refused`: the counts of earlier engines."""
        self._crossover_share = crossover_share
        self.refused = Counter(refused or {})  # offspring recognised as not worth a box, by reason
        self._hopeless: dict[tuple[int, int], Reason] = {}  # pairs that need not be merged again to know it

    def take(self, evolution: Evolution, cross: bool | None = None) -> Offspring:
        """`cross`: whether to try a crossover first; None: by its usual share.

        Raises Exhausted where no operator finds a genome that is new.
        """
        birth = len(evolution.archive.individuals)
        if cross is None:
            cross = (
                evolution.evaluated >= CROSSOVER_AFTER
                and generator(evolution.seed, birth, "operator").random() < self._crossover_share
            )
        for attempt in range(ATTEMPTS):
            rng = generator(evolution.seed, birth, f"offspring {attempt}")
            try:
                offspring = self._cross(evolution, rng) if cross and attempt < PAIRS else _mutate(evolution, rng)
            except Inapplicable as refusal:
                self.refused[refusal.reason] += 1
                continue
            if evolution.archive.find(offspring.genome) is not None:
                self.refused[Reason.ARCHIVED] += 1
                continue
            return offspring
        reasons = ", ".join(f"{reason}: {count}" for reason, count in self.refused.most_common())
        raise Exhausted(
            f"No new genome in {ATTEMPTS} attempts ({reasons}): the operators have nothing left to try. "
            "Give the seed genome more constants with '# range:' or '# choices:'."
        )

    def _cross(self, evolution: Evolution, rng: random.Random) -> Offspring:
        pair = [evolution.toolbox.select(evolution.population, rng) for _ in range(2)]
        fitter, other = sorted(pair, key=evolution.population.index)
        key = (fitter.id, other.id)
        if key in self._hopeless:
            raise Inapplicable(self._hopeless[key])
        try:
            offspring: Offspring = evolution.toolbox.mate(fitter, other)
            if evolution.archive.find(offspring.genome) is not None:
                raise Inapplicable(Reason.ARCHIVED)
        except Inapplicable as refusal:
            self._hopeless[key] = refusal.reason
            raise
        return offspring

    def prepare(self, evolution: Evolution) -> None: ...

    def born(self, individual: Individual) -> None: ...

    def told(self, individual: Individual, outcome: Outcome) -> None: ...


def _mutate(evolution: Evolution, rng: random.Random) -> Offspring:
    parent = evolution.toolbox.select(evolution.population, rng)
    offspring: Offspring = evolution.toolbox.mutate(parent, rng)
    return offspring
