"""The paired statistics: what they must give, and how often they are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evolve.arena import Direction
from evolve.lineages.paired import LEVEL, Interval, Paired, Verdict, ratio

SCORES = st.floats(-10, 10, allow_nan=False).map(lambda value: round(value, 3))
TABLES = st.integers(2, 5).flatmap(
    lambda width: st.lists(st.lists(SCORES, min_size=width, max_size=width), min_size=2, max_size=5)
)


def paired(table: list[list[float]], direction: Direction = Direction.MIN) -> Paired[int]:
    return Paired({key: dict(enumerate(row)) for key, row in enumerate(table)}, direction)


def test_two_genomes_give_the_paired_t_test() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(3.0, 0.1, 6), rng.normal(2.9, 0.1, 6)
    effect = paired([list(a), list(b)]).gain(0, 1)
    expected = stats.ttest_rel(a, b).confidence_interval()
    assert effect.value == pytest.approx((a - b).mean())
    assert effect.low == pytest.approx(expected.low, abs=2e-4)
    assert effect.high == pytest.approx(expected.high, abs=2e-4)


@settings(deadline=None, max_examples=60)
@given(TABLES, st.lists(SCORES, min_size=5, max_size=5))
def test_a_seeds_luck_changes_no_gain_and_no_interval(table: list[list[float]], luck: list[float]) -> None:
    moved = [[score + shift for score, shift in zip(row, luck, strict=False)] for row in table]
    before, after = paired(table).gain(0, 1), paired(moved).gain(0, 1)
    assert after.value == pytest.approx(before.value, abs=1e-9)
    assert (math.isnan(after.low) and math.isnan(before.low)) or after.low == pytest.approx(before.low, abs=1e-6)


@settings(deadline=None, max_examples=60)
@given(TABLES)
def test_gains_are_antisymmetric_and_add_up_and_turn_with_the_direction(table: list[list[float]]) -> None:
    both = paired(table)
    there, back = both.gain(0, 1), both.gain(1, 0)
    assert there.value == -back.value
    opposite = {Verdict.REAL: Verdict.HARMFUL, Verdict.HARMFUL: Verdict.REAL}
    assert back.verdict is opposite.get(there.verdict, there.verdict)
    last = len(table) - 1
    steps = [both.gain(k, k + 1).value for k in range(last)]
    assert sum(steps) == pytest.approx(both.gain(0, last).value, abs=1e-9)
    assert paired(table, Direction.MAX).gain(0, 1).value == back.value


def test_missing_scores_leave_the_pairs_that_are_there() -> None:
    runs = {"a": {0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}, "b": {1: 1.5, 2: 2.4, 3: 3.6, 9: 0.0}, "c": {}}
    both = Paired(runs, Direction.MIN)
    assert both.gain("a", "b").value == pytest.approx(0.5)
    assert both.gain("a", "b").runs == 3
    assert both.gain("a", "c").verdict is Verdict.FAILED
    assert both.gain("c", "a").verdict is Verdict.NEEDED
    assert both.mean("c") is None


def test_too_few_runs_decide_nothing_and_equal_scores_all() -> None:
    few = paired([[1.0, 1.1], [0.5, 0.7]])
    assert few.gain(0, 1).verdict is Verdict.UNKNOWN
    exact = paired([[1.0] * 4, [0.9] * 4, [0.9] * 4])
    assert exact.gain(0, 1).verdict is Verdict.REAL
    assert exact.gain(1, 2).verdict is Verdict.NOISE
    assert Paired({}, Direction.MIN).gain("a", "b").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(("genomes", "replicates"), [(2, 4), (6, 4), (12, 3)])
@pytest.mark.parametrize("tails", ["normal", "student"])
def test_verdicts_are_wrong_as_often_as_stated(genomes: int, replicates: int, tails: str) -> None:
    rng = np.random.default_rng(genomes)
    called: list[Verdict] = []
    missed = 0
    trials = 600
    for _ in range(trials):
        shape = (genomes, replicates)
        noise = rng.normal(size=shape) if tails == "normal" else rng.standard_t(4, size=shape)
        truth = np.where(np.arange(genomes) > 0, -5.0, 0.0)  # the first step gains 5, the others nothing
        table = truth[:, None] + noise + 20 * rng.normal(size=(1, replicates))
        both = paired(table.tolist())
        called += [both.gain(k, k + 1).verdict for k in range(1, genomes - 1)]
        first = both.gain(0, 1)
        missed += not first.low <= 5.0 <= first.high
    # 3.3 standard errors of the count above the stated rate: seeded, so it either holds or does not.
    assert missed / trials < LEVEL + 3.3 * math.sqrt(LEVEL * (1 - LEVEL) / trials)
    if called:
        for verdict in (Verdict.REAL, Verdict.HARMFUL):
            # Steps of one lineage share genomes and noise: count lineages, not steps.
            bound = LEVEL / 2 + 3.3 * math.sqrt(LEVEL / 2 / trials)
            assert called.count(verdict) / len(called) < bound


def test_fieller_contains_the_true_share_as_often_as_stated() -> None:
    rng = np.random.default_rng(3)
    inside, unknown, trials = 0, 0, 4000
    for _ in range(trials):
        whole, part = rng.normal(1.0, 0.2), rng.normal(0.6, 0.2)
        known = ratio(Interval(part, part - 0.392, part + 0.392, 4), Interval(whole, whole - 0.392, whole + 0.392, 4))
        unknown += math.isnan(known.low)
        inside += known.low <= 0.6 <= known.high
    assert unknown < 0.01 * trials
    assert abs(inside / (trials - unknown) - 0.95) < 0.015


def test_a_share_of_what_may_be_nothing_is_not_known() -> None:
    assert math.isnan(ratio(Interval(0.5, 0.4, 0.6, 4), Interval(0.1, -0.1, 0.3, 4)).low)
