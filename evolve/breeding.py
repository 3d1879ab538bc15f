"""Where offspring come from: sources that the engine asks in turn, and the one that needs no help."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from evolve.archive.repository import Archive
from evolve.bandit import CATALOGUE, CROSSOVER, NUMERIC, WINDOW, Bandit, Row
from evolve.errors import UserError
from evolve.individual import Individual, Offspring, Outcome
from evolve.randomness import generator
from evolve.tuning import Tuner
from evolve.variation.operators import Inapplicable, Reason

if TYPE_CHECKING:
    from evolve.engine import Evolution

AFTER = 10  # evaluated individuals: before that, parents are too close for a merge, and an optimiser knows nothing
CROSSOVER_WEIGHT = 0.4  # of the bandit's prior: with three operators, crossover starts at some 15 % of births
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
    """Those that need no language model: catalogue mutation, crossover, the numeric operator. Always ready.

    A bandit divides the births between them, by what offspring gained over their fitter parents.
    """

    def __init__(
        self, refused: Mapping[str, int] | None = None, *, crossover: bool = True, tuner: Tuner | None = None
    ) -> None:
        """`refused`: the counts of earlier engines. `tuner` None: no numeric operator."""
        self.arms = [CATALOGUE, *([CROSSOVER] if crossover else []), *([NUMERIC] if tuner else [])]
        self._tuner = tuner
        self.refused = Counter(refused or {})  # offspring recognised as not worth a box, by reason
        self._hopeless: dict[tuple[int, int], Reason] = {}  # pairs that need not be merged again to know it
        self._bred: deque[Individual] | None = None  # with an outcome, in order of their first; None: not read yet

    def take(self, evolution: Evolution, operator: str | None = None) -> Offspring:
        """`operator`: which one to try first; None: the bandit's choice.

        Raises Exhausted where no operator finds a genome that is new.
        """
        birth = len(evolution.archive.individuals)
        operator = operator or self.choose(evolution, birth)
        if operator == NUMERIC.operator and self._tuner is not None:
            proposal = self._tuner.propose(evolution)
            if proposal is not None:
                return proposal
        cross = operator == CROSSOVER.operator
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

    def choose(self, evolution: Evolution, birth: int) -> str:
        """The operator of a birth: a function of the archive, so that a resumed search chooses as one that went on."""
        if self._bred is None:
            archived = evolution.archive.in_order()
            self._bred = deque((one for one, outcome in archived if _first(one, outcome)), maxlen=WINDOW)
        if evolution.evaluated < AFTER or len(self.arms) == 1:
            return CATALOGUE.operator
        rows = [Row(NO_MODEL[one.operator], gain_of(evolution.archive, one), 1.0) for one in self._bred]
        weights = {CROSSOVER.operator: CROSSOVER_WEIGHT}
        arm = Bandit(self.arms, weights, rows).choose(generator(evolution.seed, birth, "operator"))
        assert arm is not None  # none of these ever rests
        return arm.operator

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

    def told(self, individual: Individual, outcome: Outcome) -> None:
        if self._tuner is not None:
            self._tuner.told(individual, outcome)
        if self._bred is not None and _first(individual, outcome):
            self._bred.append(individual)


NO_MODEL = {arm.operator: arm for arm in (CATALOGUE, CROSSOVER, NUMERIC)}


def gain_of(archive: Archive, individual: Individual) -> float | None:
    """Of an offspring over its fitter parent, as their fitness is now; None for a failure."""
    origin = archive.individuals[individual.parents[0]]
    if not individual.fitness.measured or not origin.fitness.measured:
        return None
    return individual.fitness.gain_over(origin.fitness)


def _first(individual: Individual, outcome: Outcome) -> bool:
    """Whether this is the outcome by which the bandit first hears of an offspring of these operators."""
    return outcome.replicate == 0 and individual.model is None and individual.operator in NO_MODEL


def _mutate(evolution: Evolution, rng: random.Random) -> Offspring:
    parent = evolution.toolbox.select(evolution.population, rng)
    offspring: Offspring = evolution.toolbox.mutate(parent, rng)
    return offspring
