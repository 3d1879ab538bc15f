"""What the engine knows of its individuals, run by run."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.arena import Direction
from evolve.estimates import POOL, Estimates

runs = st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.floats(0.5, 2.0))), max_size=30)


def taken(given_runs: list[tuple[int, float | None]], direction: Direction = Direction.MIN) -> Estimates:
    estimates = Estimates(direction, before=1000)
    for individual, score in given_runs:
        estimates.take(individual, 0, score)
    return estimates


@given(given_runs=runs, direction=st.sampled_from(Direction))
def test_means_are_those_of_the_scores_in_order(
    given_runs: list[tuple[int, float | None]], direction: Direction
) -> None:
    estimates = taken(given_runs, direction)
    scores: dict[int, list[float]] = {}
    for individual, score in given_runs:
        if score is not None:
            scores.setdefault(individual, []).append(score)
    sign = 1 if direction is Direction.MIN else -1
    expected = sorted((sign * sum(s) / len(s), id) for id, s in scores.items())
    assert estimates.by_mean(9) == [id for _, id in expected]
    assert estimates.means(9) == pytest.approx([sign * mean for mean, _ in expected])
    assert sorted(estimates.ranked(9)) == sorted(scores) if scores else not estimates.measured


def test_runs_that_confirm_are_not_seen() -> None:
    estimates = taken([(0, 1.0), (1, 1.1)])
    before = estimates.posterior
    estimates.take(1, 1000, 0.1)
    estimates.take(1, 2000, 0.1)
    assert estimates.posterior is before
    assert estimates.by_mean(1) == [0]


def test_one_lucky_run_ranks_below_the_same_value_over_many() -> None:
    rng = random.Random(1)
    estimates = Estimates(Direction.MIN, before=1000)
    for replicate in range(8):
        for individual in range(40):
            if individual == 1 or replicate == 0:
                estimates.take(individual, replicate, 1.0 + 0.001 * rng.gauss(0, 1) * (individual != 1))
    estimates.take(50, 0, 0.9990)
    for replicate in range(8):
        estimates.take(51, replicate, 0.9991 + 0.001 * (-1) ** replicate)
    assert estimates.by_mean(60).index(50) < estimates.by_mean(60).index(51)
    assert estimates.ranked(60).index(51) < estimates.ranked(60).index(50)


def test_what_selection_believes_of_its_best_is_unbiased() -> None:
    """The winner's shrunken value is right on average, where its mean score flatters it."""
    flattery, error = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        truth = 1.0 + 0.001 * np.abs(rng.standard_normal(120))
        estimates = Estimates(Direction.MIN, before=1000)
        for replicate in range(3):
            estimates.take(500, replicate, 1.01 + 0.0005 * rng.standard_normal())
        for individual, value in enumerate(truth):
            estimates.take(individual, 0, value + 0.0005 * rng.standard_normal())
        best = estimates.ranked(1)[0]
        error.append(estimates.posterior.value(best) - truth[best])
        flattery.append(estimates.means(1)[0] - truth[estimates.by_mean(1)[0]])
    assert np.mean(flattery) < -0.0004
    assert abs(np.mean(error)) < 0.00025


def test_the_posterior_is_bounded_and_the_noise_pooled() -> None:
    estimates = Estimates(Direction.MIN, before=1000)
    rng = random.Random(3)
    for individual in range(POOL + 50):
        for replicate in range(2 if individual < 60 else 1):
            estimates.take(individual, replicate, 1.0 + individual / 100 + 0.003 * rng.gauss(0, 1))
    assert len(estimates.ranked(10_000)) == POOL
    assert estimates.noise.sd == pytest.approx(0.003, rel=0.25)
    with pytest.raises(ValueError, match="nothing was measured"):
        _ = taken([]).noise
