"""The numeric operator: settings of a genome's constants, from everything the archive knows about them."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from evolve.arena import Direction

KEEP = 0.7  # chance that a constant stays the parent's
STARTUP = 10  # measured rows before the sampler does anything but draw at random

LATEST, BEST = 300, 100  # rows the estimator sees: bounds its cost, which grows with them
ONCE = datetime(2000, 1, 1)  # the estimator asks no trial when it was, but wants to be told

Constants = Mapping[str, Any]


@dataclass(frozen=True)
class Range:
    """A constant with `# range: low..high`, perhaps `log`; whole numbers where `integer`."""

    low: float
    high: float
    log: bool = False
    integer: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"not a range to search: {self.low}..{self.high}{' log' if self.log else ''}")


@dataclass(frozen=True)
class Choices:
    """A constant with `# choices:`, in no order."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a constant needs at least one choice")


Space = Mapping[str, Range | Choices]


@dataclass(frozen=True, eq=False)  # a row is its own key: see `_trial`
class Row:
    """One evaluation in the archive. `score` is None where it failed or was `raced` (stopped, losing)."""

    constants: Constants = field(default_factory=dict)
    score: float | None = None
    raced: bool = False


def propose(
    space: Space,
    history: Sequence[Row],
    rng: random.Random,
    around: Constants | None = None,
    direction: Direction = Direction.MIN,
) -> dict[str, Any]:
    """A value for every constant of `space`, by a tree-structured Parzen estimator (Bergstra et al. 2011, Optuna's).

    Nothing is kept between calls: the estimator is built anew from `history`, so that a search resumed
    proposes as if it had never stopped. It models one constant at a time, so a row helps with whatever constants
    it shares with the space, whoever wrote it; values outside the space are passed over. Failures count as
    the worst runs, raced ones as worse than any finished. Around a parent, each constant keeps the parent's
    value with probability KEEP and at least one changes, where the sample differs at all: on real trials
    that beats whole samples, which change too much at once. Raises ValueError for an empty space.
    """
    if not space:
        raise ValueError("there is no constant to propose a value for: none has a range or choices")
    dimensions = tuple(space.items())
    distributions = _distributions(dimensions)
    sampler = optuna.samplers.TPESampler(n_startup_trials=STARTUP, multivariate=False, seed=rng.getrandbits(31))
    study = _quiet_study(sampler, direction)
    study.add_trials([_trial(row, dimensions, direction) for row in _seen(history, direction)])
    sampled = study.ask(distributions).params
    if around is None:
        return dict(sampled)
    proposal = {name: around.get(name, value) for name, value in sampled.items()}
    different = [name for name in space if sampled[name] != proposal[name]]
    changed = [name for name in different if rng.random() >= KEEP]
    if different and not changed:
        changed = [rng.choice(different)]
    return {**proposal, **{name: sampled[name] for name in changed}}


def _seen(history: Sequence[Row], direction: Direction) -> list[Row]:
    """The latest rows and the best of the older ones, in their order."""
    older, latest = history[:-LATEST], history[-LATEST:]
    sign = 1.0 if direction is Direction.MIN else -1.0
    measured = [(sign * row.score, index) for index, row in enumerate(older) if row.score is not None]
    return [*(older[index] for index in sorted(index for _, index in sorted(measured)[:BEST])), *latest]


def _quiet_study(sampler: optuna.samplers.BaseSampler, direction: Direction) -> optuna.Study:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(sampler=sampler, direction="minimize" if direction is Direction.MIN else "maximize")
    finally:
        optuna.logging.set_verbosity(verbosity)


@lru_cache(maxsize=64)
def _distributions(dimensions: tuple[tuple[str, Range | Choices], ...]) -> dict[str, BaseDistribution]:
    return {name: _distribution(dimension) for name, dimension in dimensions}


def _distribution(dimension: Range | Choices) -> BaseDistribution:
    if isinstance(dimension, Choices):
        return CategoricalDistribution(dimension.values)
    if dimension.integer:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


class _Told(FrozenTrial):
    """A trial that is never changed once it is told, so that a study may share it with the next one."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Told:
        return copy.copy(self)


@lru_cache(maxsize=8 * (LATEST + BEST))
def _trial(row: Row, dimensions: tuple[tuple[str, Range | Choices], ...], direction: Direction) -> FrozenTrial:
    """A row as the sampler sees it; kept, because building it takes longer than learning from it."""
    distributions = _distributions(dimensions)
    params = {
        name: row.constants[name]
        for name, distribution in distributions.items()
        if name in row.constants and _holds(distribution, row.constants[name])
    }
    known = {name: distributions[name] for name in params}
    worst = math.inf if direction is Direction.MIN else -math.inf
    return _Told(
        number=-1,  # the study gives it one
        trial_id=-1,
        state=TrialState.PRUNED if row.raced else TrialState.COMPLETE,
        value=None if row.raced else worst if row.score is None else row.score,
        params=params,
        distributions=known,
        datetime_start=ONCE,
        datetime_complete=ONCE,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a value, which any genome may have set to anything, lies in the space."""
    if isinstance(distribution, CategoricalDistribution):
        return any(value == choice and type(value) is type(choice) for choice in distribution.choices)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    whole = isinstance(distribution, FloatDistribution) or value == int(value)
    return distribution.low <= value <= distribution.high and whole
