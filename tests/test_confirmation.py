"""Who is confirmed, by which runs, and what the fresh runs say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evolve.arena import Direction
from evolve.confirmation import (
    Pair,
    confirmation,
    confirmed,
    contenders,
    outstanding,
    student_975,
)
from evolve.estimates import Estimates
from evolve.individual import CHOICE, FRESH, Individual, MaximisedFitness, MinimisedFitness, Outcome, Status
from evolve.noise import Noise


class Search:
    """Individuals, the first one the seed genome, with what the engine keeps of their runs."""

    def __init__(self, **scores: list[float]) -> None:
        self.search = Estimates(Direction.MIN, before=CHOICE)
        self.choice = Estimates(Direction.MIN, before=FRESH)
        self.individuals = {}
        for id, values in enumerate(scores.values()):
            self.individuals[id] = Individual(
                id,
                (0,) if id else (),
                operator="",
                idea="",
                generation=0,
                commit="",
                read_genome=str,
                fitness=MinimisedFitness(),
            )
            for replicate, score in enumerate(values):
                self.run((id, replicate), score)

    def run(self, pair: Pair, score: float | None) -> None:
        id, replicate = pair
        status = Status.OK if score is not None else Status.CRASHED
        self.individuals[id].add(Outcome(status, score, individual=id, replicate=replicate))
        for estimates in (self.search, self.choice):
            estimates.take(id, replicate, score)

    def outstanding(self, runs: int = 3) -> list[Pair]:
        return outstanding(self.search, self.choice, self.individuals, runs, 0)


def test_a_clear_winner_needs_no_choice() -> None:
    search = Search(seed=[1.0, 1.0001, 1.0], a=[0.9], b=[0.99])
    assert contenders(search.search) == [1]
    assert search.outstanding(2) == [(1, FRESH), (0, FRESH), (1, FRESH + 1), (0, FRESH + 1)]
    assert confirmed(search.individuals.values()) is None


def test_rivals_are_told_apart_by_runs_that_the_figure_leaves_out() -> None:
    search = Search(seed=[1.0, 1.0005, 0.9995], a=[0.95], b=[0.9501])
    for pair in (choice := search.outstanding()):
        search.run(pair, 0.960 if pair[0] == 1 else 0.950)
    assert choice == [(1, CHOICE), (2, CHOICE), (1, CHOICE + 1), (2, CHOICE + 1)]
    fresh = search.outstanding()
    assert {id for id, _ in fresh} == {0, 2}
    for pair in fresh:
        search.run(pair, 0.951 if pair[0] else 1.001)
    assert search.outstanding() == []
    champion = confirmed(search.individuals.values())
    assert champion is search.individuals[2]
    figure = confirmation(champion, search.individuals[0], search.choice.noise, Direction.MIN)
    assert figure is not None
    assert (figure.mean, figure.seed_mean, figure.runs) == (pytest.approx(0.951), pytest.approx(1.001), 3)
    assert figure.gain == pytest.approx(0.05) and figure.apparent == pytest.approx(0.0499)
    assert figure.real_share == pytest.approx(1.0, abs=0.01)


def test_fresh_runs_change_nothing_that_is_selected() -> None:
    search = Search(seed=[1.0, 1.0], a=[0.9], b=[0.99])
    for pair in search.outstanding():
        search.run(pair, 2.0 if pair[0] else 0.1)
    assert contenders(search.search) == [1] and search.outstanding() == []
    assert search.choice.ranked(1) == [1]


def test_a_seed_genome_that_nothing_beats_needs_no_confirmation() -> None:
    assert Search(seed=[1.0, 1.0], a=[1.2]).outstanding() == []
    assert Search(seed=[1.0, 1.0], a=[0.9]).outstanding(0) == []


def test_failed_fresh_runs_are_not_repeated_for_ever_and_confirm_nothing() -> None:
    search = Search(seed=[1.0, 1.0], a=[0.9])
    for pair in search.outstanding():
        search.run(pair, None if pair[0] else 1.0)
    assert search.outstanding() == [] and search.individuals[1].fresh_scores == []
    assert confirmation(search.individuals[1], search.individuals[0], Noise(0.01, 9), Direction.MIN) is None


def test_the_interval_covers_the_truth_and_probability_means_what_it_says() -> None:
    rng = np.random.default_rng(0)
    covered, better, claimed = [], [], []
    for _ in range(2000):
        gain = 0.0003 * rng.standard_normal()
        search = Search(seed=[1.0], a=[1.0])
        for k in range(4):
            search.run((0, FRESH + k), 1.0 + 0.0004 * rng.standard_normal())
            search.run((1, FRESH + k), 1.0 - gain + 0.0004 * rng.standard_normal())
        figure = confirmation(search.individuals[1], search.individuals[0], Noise(0.0004, 20), Direction.MIN)
        assert figure is not None
        covered.append(figure.low <= 1.0 - gain <= figure.high)
        if figure.probability > 0.8:
            better.append(gain > 0)
            claimed.append(figure.probability)
    assert np.mean(covered) == pytest.approx(0.96, abs=0.015)
    assert np.mean(better) > 0.8


def test_the_direction_of_the_metric() -> None:
    kwargs = {"operator": "", "idea": "", "generation": 0, "commit": "", "read_genome": str}
    seed = Individual(0, (), fitness=MaximisedFitness(), **kwargs)  # type: ignore[arg-type]
    other = Individual(1, (0,), fitness=MaximisedFitness(), **kwargs)  # type: ignore[arg-type]
    for one, score in ((seed, 0.5), (other, 0.7)):
        for replicate in (0, FRESH, FRESH + 1):
            one.add(Outcome(Status.OK, score, individual=one.id, replicate=replicate))
    figure = confirmation(other, seed, Noise(0.01, 9), Direction.MAX)
    assert figure is not None
    assert figure.gain == pytest.approx(0.2) and figure.probability > 0.99
    assert confirmed([seed, other]) is other


@pytest.mark.parametrize(("degrees", "quantile"), [(3, 3.182), (5, 2.571), (10, 2.228), (30, 2.042), (1e9, 1.960)])
def test_quantiles_of_student(degrees: float, quantile: float) -> None:
    assert student_975(degrees) == pytest.approx(quantile, rel=0.01)
    assert not math.isnan(student_975(1.0))


def test_fresh_runs_that_disagree_widen_the_interval_whatever_the_search_believed() -> None:
    search = Search(seed=[1.0], a=[0.9])
    for k, (ours, base) in enumerate([(0.90, 1.02), (0.94, 0.98), (0.86, 1.05), (0.91, 0.95)]):
        search.run((1, FRESH + k), ours)
        search.run((0, FRESH + k), base)
    quiet = Noise(0.0005, 2.0)
    figure = confirmation(search.individuals[1], search.individuals[0], quiet, Direction.MIN)
    assert figure is not None
    assert figure.noise.sd > 0.02
    assert figure.high - figure.low > 0.04
