"""Who earns a replicate, and what the step count corrects."""

from evolve.arena import Direction
from evolve.noise import Noise, Posterior
from evolve.replication import replicate_candidates

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
