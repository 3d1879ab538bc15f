"""Who earns a replicate, and what it is worth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.arena import Direction
from evolve.noise import Noise, Posterior
from evolve.replication import knowledge_gradient, replicate_candidates

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


def test_a_parent_of_many_on_one_run_is_checked_against_its_neighbours() -> None:
    near = {**CLEAR, "b2": [0.9751]}
    found = replicate_candidates(posterior(near), mu=4, children={"b": 6, "e": 9, "c": 1})
    assert [(one.key, one.reason) for one in found] == [("b", "parent of many")]
    assert replicate_candidates(posterior(near), mu=4, children={"c": 9}) == []


def test_enough_is_enough() -> None:
    runs = {"a": [0.970] * 5, "b": [0.9701] * 2, "c": [0.99]}
    assert [one.key for one in replicate_candidates(posterior(runs), mu=2, children={}, most_runs=5)] == ["b"]


def test_fewer_runs_are_worth_more() -> None:
    runs = {"a": [0.970], "b": [0.970, 0.970, 0.970], "c": [0.99]}
    found = replicate_candidates(posterior(runs), mu=2, children={})
    assert found[0].key == "a"
    assert found[0].worth > found[1].worth


def test_what_decides_the_champion_is_worth_more_than_what_decides_the_last_place() -> None:
    found = replicate_candidates(posterior({**CLEAR, "a2": [0.9702], "d2": [0.9852]}), mu=5, children={})
    worth = {one.key: (one.worth, one.reason) for one in found}
    assert worth["a"][1] == worth["a2"][1] == "champion" and worth["d"][1] == "survivor cut"
    assert min(worth["a"][0], worth["a2"][0]) > max(worth["d"][0], worth["d2"][0]) > 0


@given(st.floats(0, 0.01), st.floats(0, 0.001), st.floats(1e-5, 0.001))
def test_a_replicate_is_worth_most_where_two_cannot_be_told_apart(gap: float, stderr: float, sd: float) -> None:
    worth = knowledge_gradient(gap, stderr, sd)
    assert 0 <= worth <= knowledge_gradient(0.0, stderr, sd) <= 0.4 * stderr
    assert knowledge_gradient(-gap, stderr, sd) == worth


def test_the_worth_is_what_a_replicate_gains_in_a_simulation() -> None:
    rng = np.random.default_rng(0)
    gap, stderr, sd = 0.0001, 0.0003, 0.0004
    truth = stderr * rng.standard_normal(200_000)  # of one individual; the other is `gap` better and known
    run = truth + sd * rng.standard_normal(len(truth))
    believed = run * stderr**2 / (stderr**2 + sd**2)
    gained = np.where(believed < -gap, -gap - truth, 0.0)  # in the truth of the one that is picked
    assert knowledge_gradient(gap, stderr, sd) == pytest.approx(gained.mean(), rel=0.05)
