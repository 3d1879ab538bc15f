"""Parents by tournament, survivors by truncation."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.arena import Direction
from evolve.estimates import Estimates
from evolve.individual import Individual, fitness_type
from evolve.selection import noise_aware_survivors, plain_survivors, tournament


def make(id: int, score: float | None, direction: Direction = Direction.MIN) -> Individual:
    fitness = fitness_type(direction)([] if score is None else [score])
    return Individual(id, (), operator="", idea="", generation=0, commit="", read_genome=str, fitness=fitness)


scored = st.lists(st.one_of(st.none(), st.floats(-10, 10)), min_size=1, max_size=12)


def known(values: list[float | None], direction: Direction = Direction.MIN) -> Estimates:
    estimates = Estimates(direction, before=1000)
    for id, value in enumerate(values):
        estimates.take(id, 0, value)
    return estimates


@given(values=scored, mu=st.integers(1, 12))
def test_survivors_are_the_best_measured_ones_in_order(values: list[float | None], mu: int) -> None:
    individuals = {id: make(id, value) for id, value in enumerate(values)}
    kept = plain_survivors(individuals, known(values), mu)
    expected = sorted((value, i) for i, value in enumerate(values) if value is not None)[:mu]
    assert [(one.fitness.mean, one.id) for one in kept] == expected


@pytest.mark.parametrize("select", [plain_survivors, noise_aware_survivors])
@pytest.mark.parametrize(("direction", "best"), [(Direction.MIN, 0), (Direction.MAX, 2)])
def test_a_failure_is_no_survivor_in_either_direction(
    direction: Direction, best: int, select: Callable[..., list[Individual]]
) -> None:
    values = [1.0, None, 3.0]
    individuals = {id: make(id, value, direction) for id, value in enumerate(values)}
    kept = select(individuals, known(values, direction), 3)
    assert kept[0].id == best
    assert {one.id for one in kept} == {0, 2}


def test_a_tournament_prefers_the_fit_but_leaves_the_others_a_chance() -> None:
    population = [make(i, float(i)) for i in range(5)]
    rng = random.Random(1)
    wins = [tournament(population, rng, 3).id for _ in range(2000)]
    counts = [wins.count(i) for i in range(5)]
    assert counts == sorted(counts, reverse=True)
    # The best of three draws from five is the fittest with chance 1 - (4/5)^3.
    assert counts[0] / 2000 == pytest.approx(1 - 0.8**3, abs=0.04)


def test_a_tournament_is_decided_by_its_generator() -> None:
    population = [make(i, 1.0) for i in range(9)]
    first = [tournament(population, random.Random(seed), 2).id for seed in range(50)]
    assert first == [tournament(population, random.Random(seed), 2).id for seed in range(50)]


@given(values=scored, mu=st.integers(1, 12))
def test_both_kinds_of_selection_agree_where_every_individual_has_one_run(values: list[float | None], mu: int) -> None:
    individuals = {id: make(id, value) for id, value in enumerate(values)}
    estimates = known(values)
    plain = plain_survivors(individuals, estimates, mu)
    aware = noise_aware_survivors(individuals, estimates, mu)
    assert [one.fitness.mean for one in aware] == pytest.approx([one.fitness.mean for one in plain], abs=0.1)
