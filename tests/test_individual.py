"""Fitness, Outcome and Individual."""

import copy
import math
import statistics
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.arena import Direction
from evolve.individual import FRESH, Fitness, Individual, Outcome, Status, fitness_type

scores = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8)


@pytest.mark.parametrize("direction", list(Direction))
@given(measured=scores)
def test_a_failure_never_beats_a_measured_score(direction: Direction, measured: list[float]) -> None:
    kind = fitness_type(direction)
    failed, good = kind([]), kind(measured)
    assert good > failed
    assert not failed > good
    assert failed.valid and not failed.measured
    assert failed.values[0] == (math.inf if direction is Direction.MIN else -math.inf)


@given(measured=scores)
def test_the_estimate_is_mean_and_standard_error(measured: list[float]) -> None:
    fitness = fitness_type(Direction.MIN)(measured)
    assert fitness.count == len(measured)
    assert fitness.mean == pytest.approx(statistics.fmean(measured))
    if len(measured) > 1:
        assert fitness.stderr == pytest.approx(statistics.stdev(measured) / math.sqrt(len(measured)))
    else:
        assert math.isnan(fitness.stderr)


def test_direction_decides_which_score_is_better() -> None:
    low, high = fitness_type(Direction.MIN), fitness_type(Direction.MAX)
    assert low([1.0]) > low([2.0])
    assert high([2.0]) > high([1.0])
    assert low([1.0]).gain_over(low([1.5])) == pytest.approx(0.5)
    assert high([1.0]).gain_over(high([1.5])) == pytest.approx(-0.5)


def test_not_evaluated_is_not_failed() -> None:
    assert not Fitness().valid
    assert Fitness([]).valid


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Fitness([1.0, bad])
    with pytest.raises(ValueError, match="does not go with"):
        Outcome(Status.OK, bad)


def test_score_and_status_go_together() -> None:
    with pytest.raises(ValueError, match="does not go with"):
        Outcome(Status.OK)
    with pytest.raises(ValueError, match="does not go with"):
        Outcome(Status.CRASHED, 1.0)


def test_a_deep_copy_keeps_the_estimate() -> None:
    fitness = Fitness([1.0, 2.0])
    clone = copy.deepcopy(fitness)
    assert (clone.mean, clone.stderr, clone.count) == (fitness.mean, fitness.stderr, 2)
    assert clone == fitness and clone is not fitness


def test_an_outcome_survives_its_record() -> None:
    outcome = Outcome(Status.OK, 1.5, individual=3, seconds={"total": 2.0}, curve=[(0.5, 3.25)], constants={"LR": 0.1})
    record = asdict(outcome) | {"a key of a later version": 1}
    assert Outcome.from_record(record) == outcome


def test_fresh_runs_alone_are_no_evaluation_by_the_search() -> None:
    one = Individual(1, (0,), operator="", idea="", generation=1, commit="", read_genome=str, fitness=Fitness())
    one.add(Outcome(Status.OK, 9.0, replicate=FRESH))
    assert not one.searched and not one.fitness.valid


def test_outcomes_refine_the_fitness() -> None:
    kind = fitness_type(Direction.MIN)
    one = Individual(
        1, (0,), operator="x", idea="y", generation=1, commit="c", read_genome=lambda commit: commit, fitness=kind()
    )
    one.add(Outcome(Status.CRASHED, reason="it fell over"))
    assert one.fitness.valid and not one.fitness.measured
    one.add(Outcome(Status.OK, 2.0))
    one.add(Outcome(Status.OK, 4.0))
    assert (one.fitness.mean, one.fitness.count) == (3.0, 2)
    one.add(Outcome(Status.OK, 9.0, replicate=FRESH, locked=8.0))  # on another split: never in the same mean
    assert (one.fitness.mean, one.fitness.count, one.fresh_scores) == (3.0, 2, [9.0])
    assert type(one.fitness) is kind
    assert one.genome == "c"
