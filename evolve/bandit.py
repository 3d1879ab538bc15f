"""Chooses the next arm (model, operator, intent) by what such arms gained for their cost so far."""

from __future__ import annotations

import random
import statistics
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

FLOOR = 0.2  # of all choices are spread evenly over the arms that are awake
WINDOW = 300  # latest rows that count: gains shrink as a search goes on, and arms change their use
PRIOR_ROWS = 2.0  # how many rows the prior is worth
SCALE_QUANTILE = 0.9  # of the positive gains is a full reward


class Arm(NamedTuple):
    model: str | None  # None: an operator without a language model
    operator: str
    intent: str | None = None


CATALOGUE = Arm(None, "catalogue")
CROSSOVER = Arm(None, "crossover")
NUMERIC = Arm(None, "numeric")


class Row(NamedTuple):
    """What one offspring brought. `gain`: over its fitter parent, positive is better; None: it failed."""

    arm: Arm
    gain: float | None
    cost: float | None  # in any one unit; None: not known, taken as the average


@dataclass(frozen=True)
class ArmSummary:
    arm: Arm
    chosen: int  # rows in the window
    improved: int  # of these, how many had a positive gain
    mean_gain: float  # of rows with their negative gains and failures as 0
    mean_cost: float | None  # None: never known
    value: float  # expected reward per cost, in units of the average cost


class Bandit:
    """Thompson sampling of the ratio of reward to cost, over a sliding window, with a floor.

    Each arm's reward in [0, 1] has a Beta posterior; a choice draws from each and takes the largest draw per
    expected cost (Xia et al., "Thompson Sampling for Budgeted Multi-armed Bandits", IJCAI 2015). A gain
    counts as gain / q, at most 1, where q is the 0.9 quantile of the positive gains in the window, and as 0 where it is
    not positive; so the unit of the metric does not matter, and one lucky outlier does not rule. Only the
    latest 300 rows count (sliding window: Garivier and Moulines, ALT 2011). Fractional rewards are added to the Beta's
    counts as they are, where the paper draws a coin.

    Floor: with probability 0.2 a choice is uniform over the arms that are awake, so that each of n gets
    at least 0.2 / n of the choices in expectation, whatever happened before.

    Weights, by model or by operator without one, are priors: the arms of the heaviest start at an expected reward
    of 0.5, others in proportion, each worth two rows. Not for several threads at once.
    """

    def __init__(
        self,
        arms: Sequence[Arm],
        weights: Mapping[str, float] | None = None,
        rows: Iterable[Row] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`rows`: the past, oldest first; those of arms that are gone are ignored. `weights`: 1 where none is given."""
        if not arms or len(set(arms)) < len(arms):
            raise ValueError("a bandit needs arms, each of them once")
        self.arms = tuple(arms)
        given = {arm: (weights or {}).get(arm.model or arm.operator, 1.0) for arm in self.arms}
        if any(weight <= 0 for weight in given.values()):
            raise ValueError("weights must be above zero")
        heaviest = max(given.values())
        self._prior = {arm: 0.5 * weight / heaviest for arm, weight in given.items()}
        self._rows: deque[Row] = deque(maxlen=WINDOW)
        self._rest: dict[Arm, float] = {}
        self._clock = clock
        for row in rows:
            self.record(*row)

    def record(self, arm: Arm, gain: float | None, cost: float | None) -> None:
        """Learn what an offspring of `arm` brought. Raises ValueError for a cost below zero."""
        if cost is not None and not cost >= 0:
            raise ValueError(f"a cost is zero or above, not {cost}")
        if arm in self._prior:
            self._rows.append(Row(arm, gain, cost))

    def rest(self, arm: Arm, seconds: float) -> None:
        """Leave `arm` out of the choice for so long, or for as long as it rests already, whichever is more."""
        self._rest[arm] = max(self._rest.get(arm, 0.0), self._clock() + seconds)

    def rest_model(self, model: str, seconds: float) -> None:
        """Let all arms of a model rest: its endpoint is in trouble."""
        for arm in self.arms:
            if arm.model == model:
                self.rest(arm, seconds)

    def awake(self, among: Collection[Arm] | None = None) -> list[Arm]:
        """The arms that may be chosen now, in their given order."""
        now = self._clock()
        allowed = self.arms if among is None else [arm for arm in self.arms if arm in among]
        return [arm for arm in allowed if self._rest.get(arm, 0.0) <= now]

    def choose(self, rng: random.Random, among: Collection[Arm] | None = None) -> Arm | None:
        """The next arm, of `among` where given; None where all of them rest. All chance is `rng`'s."""
        arms = self.awake(among)
        if not arms:
            return None
        if rng.random() < FLOOR:
            return rng.choice(arms)
        rewards, costs = self._rewards(), self._costs()
        best, best_value = arms[0], -1.0
        for arm in arms:
            value = rng.betavariate(*self._posterior(arm, rewards[arm])) / costs[arm]
            if value > best_value:
                best, best_value = arm, value
        return best

    def table(self) -> list[ArmSummary]:
        """A row an arm for `status`, the most valuable first."""
        rewards, costs = self._rewards(), self._costs()
        summaries = []
        for arm in self.arms:
            rows = [row for row in self._rows if row.arm == arm]
            gains = [max(0.0, row.gain or 0.0) for row in rows]
            known = [row.cost for row in rows if row.cost is not None]
            a, b = self._posterior(arm, rewards[arm])
            summaries.append(
                ArmSummary(
                    arm=arm,
                    chosen=len(rows),
                    improved=sum(gain > 0 for gain in gains),
                    mean_gain=statistics.fmean(gains) if gains else 0.0,
                    mean_cost=statistics.fmean(known) if known else None,
                    value=a / (a + b) / costs[arm],
                )
            )
        return sorted(summaries, key=lambda one: -one.value)

    def _posterior(self, arm: Arm, rewards: Sequence[float]) -> tuple[float, float]:
        total = sum(rewards)
        mean = self._prior[arm]
        return PRIOR_ROWS * mean + total, PRIOR_ROWS * (1 - mean) + len(rewards) - total

    def _rewards(self) -> dict[Arm, list[float]]:
        positive = sorted(row.gain for row in self._rows if row.gain is not None and row.gain > 0)
        scale = positive[int(SCALE_QUANTILE * (len(positive) - 1))] if positive else 1.0
        rewards: dict[Arm, list[float]] = {arm: [] for arm in self.arms}
        for row in self._rows:
            gain = row.gain if row.gain is not None and row.gain > 0 else 0.0
            rewards[row.arm].append(min(1.0, gain / scale))
        return rewards

    def _costs(self) -> dict[Arm, float]:
        """Expected cost of each arm over the average of all, drawn towards 1 by one row's worth."""
        known = [row.cost for row in self._rows if row.cost is not None]
        average = statistics.fmean(known) if known else 0.0
        if average == 0:
            return dict.fromkeys(self.arms, 1.0)
        costs = {arm: [1.0] for arm in self.arms}
        for row in self._rows:
            costs[row.arm].append(1.0 if row.cost is None else row.cost / average)
        return {arm: statistics.fmean(values) for arm, values in costs.items()}
