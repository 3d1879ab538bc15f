"""The numeric operator in a search: settings that an optimiser proposes, on top of a good parent."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from evolve.archive.repository import Archive
from evolve.errors import UserError
from evolve.individual import Individual, Offspring, Outcome, Status
from evolve.randomness import generator
from evolve.variation.catalogue import Constant, constants, substitute
from evolve.variation.catalogue import Range as Interval
from evolve.variation.source import Unparsable, normalise

if TYPE_CHECKING:
    from evolve.engine import Evolution
    from evolve.variation.numeric import Choices, Range, Row

OPERATOR = "numeric"
ATTEMPTS = 5  # at a setting that is new, before another operator has the birth


class Tuner:
    """The numeric operator; learns from all evaluations, failures included."""

    def __init__(self, archive: Archive) -> None:
        self._rows: dict[int, Row] = {}  # by individual
        self._untold: list[tuple[Individual, Outcome]] = list(archive.in_order())

    def told(self, individual: Individual, outcome: Outcome) -> None:
        """One more outcome of any individual."""
        self._untold.append((individual, outcome))

    def propose(self, evolution: Evolution) -> Offspring | None:
        """An offspring for the next birth; None where the optimiser finds no genome that is new."""
        birth = len(evolution.archive.individuals)
        for attempt in range(ATTEMPTS):
            rng = generator(evolution.seed, birth, f"{OPERATOR} {attempt}")
            offspring = self._propose(evolution.toolbox.select(evolution.population, rng), evolution, rng)
            if offspring is not None and evolution.archive.find(offspring.genome) is None:
                return offspring
        return None

    def _propose(self, parent: Individual, evolution: Evolution, rng: random.Random) -> Offspring | None:
        # Optuna takes a second to import: `--help` and a search without this operator need not wait for it.
        from evolve.variation.numeric import propose

        genome = normalise(parent.genome)
        declared = _declared(genome)
        if not declared:
            return None
        around = {constant.name: constant.value for constant in declared}
        space = {constant.name: _dimension(constant) for constant in declared}
        values = propose(space, self._history(), rng, around, evolution.direction)
        chosen = {constant.name: _readable(constant, values[constant.name]) for constant in declared}
        changed = {name: value for name, value in chosen.items() if value != around[name]}
        if not changed:
            return None
        words = [f"{name} to {value} (was {around[name]})" for name, value in changed.items()]
        idea = "Tune " + ", ".join(words[:-1]) + (" and " if len(words) > 1 else "") + words[-1]
        return Offspring(substitute(genome, changed), (parent.id,), OPERATOR, idea, parent.generation + 1)

    def _history(self) -> list[Row]:
        from evolve.variation.numeric import Row

        for individual, outcome in self._untold:
            # One row each: replicates of the best would fill the place of all good settings with one setting.
            # What fails may not have come as far as to report its constants.
            known: dict[str, Any] = outcome.constants or {one.name: one.value for one in _declared(individual.genome)}
            score = individual.fitness.mean if individual.fitness.measured else None
            self._rows[individual.id] = Row(known, score, outcome.status is Status.RACED)
        self._untold.clear()
        return list(self._rows.values())


def _declared(genome: str) -> list[Constant]:
    """The constants that can be tuned; none in a genome that cannot be read."""
    try:
        return constants(genome)
    except (Unparsable, UserError):
        return []


def _dimension(constant: Constant) -> Range | Choices:
    from evolve.variation.numeric import Choices, Range

    if isinstance(constant.space, Interval):
        return Range(constant.space.low, constant.space.high, constant.space.log, constant.kind is int)
    return Choices(constant.space)


def _readable(constant: Constant, value: Any) -> Any:
    """Three significant digits, inside the range: the optimiser's sixteen are noise in a diff."""
    if not isinstance(constant.space, Interval):
        return value
    rounded = min(max(float(f"{value:.3g}"), constant.space.low), constant.space.high)
    return constant.check(round(rounded) if constant.kind is int else rounded)
