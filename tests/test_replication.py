"""Who earns a replicate, and what the step count corrects."""

import math

import numpy as np
import pytest

from evolve.arena import Direction
from evolve.noise import Noise, Posterior
from evolve.replication import adjusted_for_steps, replicate_candidates, step_slope

NOISE = Noise(0.0004, 30)


def posterior(runs: dict[str, list[float]]) -> Posterior[str]:
    return Posterior(runs, NOISE, Direction.MIN)


CLEAR = {"a": [0.970], "b": [0.975], "c": [0.980], "d": [0.985], "e": [0.990]}


def test_nobody_is_run_again_where_everything_is_clear() -> None:
    assert replicate_candidates(posterior(CLEAR), mu=3, children={}) == []


def test_the_rivals_for_champion_come_first() -> None:
    found = replicate_candidates(posterior({**CLEAR, "a2": [0.9701]}), mu=4, children={})
    assert {one.key for one in found} == {"a", "a2"}
    assert {one.reason for one in found} == {"champion"}


def test_both_sides_of_the_survivor_cut_are_run_again() -> None:
    found = replicate_candidates(posterior({**CLEAR, "c2": [0.9801]}), mu=3, children={})
    assert {(one.key, one.reason) for one in found} == {("c", "survivor cut"), ("c2", "survivor cut")}


def test_a_parent_of_many_on_one_run_is_checked() -> None:
    found = replicate_candidates(posterior(CLEAR), mu=3, children={"b": 6, "e": 9, "c": 1})
    assert [(one.key, one.reason) for one in found] == [("b", "parent of many")]
    again = {**CLEAR, "b": [0.975, 0.9751]}
    assert replicate_candidates(posterior(again), mu=3, children={"b": 6}) == []


def test_enough_is_enough() -> None:
    runs = {"a": [0.970] * 5, "b": [0.9701] * 2, "c": [0.99]}
    assert [one.key for one in replicate_candidates(posterior(runs), mu=2, children={}, most_runs=5)] == ["b"]


def test_fewer_runs_are_worth_more() -> None:
    runs = {"a": [0.970], "b": [0.970, 0.970, 0.970], "c": [0.99]}
    found = replicate_candidates(posterior(runs), mu=2, children={})
    assert found[0].key == "a"
    assert found[0].worth > found[1].worth


def groups(slope: float, noise: float, seed: int = 0) -> list[list[tuple[float, int]]]:
    rng = np.random.default_rng(seed)
    out = []
    for genome in range(30):
        steps = [int(1000 * math.exp(0.1 * rng.standard_normal())) for _ in range(3)]
        out.append([(0.98 + 0.002 * genome + slope * math.log(n) + noise * rng.standard_normal(), n) for n in steps])
    return out


def test_the_slope_on_steps_is_found_within_genomes() -> None:
    assert step_slope(groups(-0.02, 0.0003)) == pytest.approx(-0.02, rel=0.1)


def test_where_steps_say_nothing_the_slope_is_about_zero() -> None:
    assert np.mean([abs(step_slope(groups(0.0, 0.001, seed))) for seed in range(20)]) < 0.0008
    assert step_slope([[(0.98, 1000)], [(0.97, 900), (0.98, 900)]]) == 0.0


def test_adjusting_lowers_the_variance_and_keeps_the_mean() -> None:
    slope = step_slope(groups(-0.02, 0.0003))
    rng = np.random.default_rng(3)
    steps = [int(1000 * math.exp(0.1 * rng.standard_normal())) for _ in range(300)]
    scores = [0.98 - 0.02 * math.log(n / 1000) + 0.0003 * rng.standard_normal() for n in steps]
    adjusted = [adjusted_for_steps(score, n, 1000, slope) for score, n in zip(scores, steps, strict=True)]
    assert np.std(adjusted) < 0.3 * np.std(scores)
    assert np.mean(adjusted) == pytest.approx(0.98, abs=0.0002)
