"""The search itself, with trials that are functions."""

from __future__ import annotations

import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evolve.breeding import Operators
from evolve.confirmation import confirmation
from evolve.engine import CONFIRM, Evolution
from evolve.errors import UserError
from evolve.evaluation.trial import Cancelled, Trial
from evolve.individual import CHOICE, FRESH, Outcome, Status
from evolve.randomness import replicate_seed
from evolve.replication import REPLICATE_SHARE
from evolve.summary import locked_lines
from tests.stub import evaluate, evolve, noisy, rough, story


def refused(evolution: Evolution) -> dict[str, int]:
    (operators,) = evolution.sources
    assert isinstance(operators, Operators)
    return dict(operators.refused)


def pairs(evolution: Evolution) -> list[tuple[int, int]]:
    """(individual, replicate) of all evaluations in order of arrival."""
    return [(one.id, outcome.replicate) for one, outcome in evolution.archive.in_order()]


def test_one_worker_and_a_deterministic_evaluator_repeat_a_search_exactly(tmp_path: Path) -> None:
    first = evolve(tmp_path / "a", pop=4, gens=10)
    second = evolve(tmp_path / "b", pop=4, gens=10)
    assert story(first) == story(second)
    assert [one.id for one in first.population] == [one.id for one in second.population]
    assert refused(first) == refused(second)
    assert story(evolve(tmp_path / "c", pop=4, gens=10, seed=2)) != story(first)


def test_an_interrupted_search_continues_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = evolve(tmp_path / "whole", pop=4, gens=8)
    for evaluations in (1, 9, 10, 23):
        part = evolve(tmp_path / "parts", pop=4, gens=8, max_evals=evaluations)
        assert part.evaluations == evaluations
    parts = evolve(tmp_path / "parts", pop=4, gens=8)
    assert story(parts) == story(whole)
    assert parts.population == [parts.archive.individuals[one.id] for one in whole.population]
    assert [row["best"] for row in parts.logbook] == [row["best"] for row in whole.logbook]


def test_replicates_repeat_exactly_and_continue_after_an_interruption(tmp_path: Path) -> None:
    plan: dict[str, Any] = {"pop": 3, "gens": 16, "function": rough, "seed_replicates": 3}
    whole = evolve(tmp_path / "whole", **plan)
    assert whole.replicates > 3
    for evaluations in (2, 20, 21, 33, 47, whole.evaluations - 3):
        part = evolve(tmp_path / "parts", max_evals=evaluations, **plan)
        assert part.evaluations == evaluations
    parts = evolve(tmp_path / "parts", **plan)
    assert story(parts) == story(whole)
    assert pairs(parts) == pairs(whole)
    assert list(parts.logbook) == list(whole.logbook)
    assert [row["gen"] for row in whole.logbook] == list(range(1, 17))  # births in units of the population


def test_replicates_are_distinct_bounded_and_of_the_common_seeds(tmp_path: Path) -> None:
    evolution = evolve(tmp_path, pop=3, gens=16, workers=3, function=rough, seed_replicates=3)
    assert len(pairs(evolution)) == len(set(pairs(evolution)))
    assert all(outcome.seed == replicate_seed(outcome.replicate) for _, outcome in evolution.archive.in_order())
    assert 0 < evolution.replicates <= REPLICATE_SHARE * evolution.evaluations
    for one in evolution.archive.individuals.values():
        search = [outcome.replicate for outcome in one.outcomes if outcome.replicate < CHOICE]
        assert sorted(search) == list(range(len(search)))
    none = evolve(tmp_path / "none", pop=3, gens=16, function=rough, replicate_share=0.0, seed_replicates=3)
    assert none.replicates == 0


def test_the_noise_is_measured_and_a_seed_genome_that_disagrees_with_itself_is_measured_again(tmp_path: Path) -> None:
    evolution = evolve(tmp_path / "a", pop=3, gens=16, function=noisy, seed_replicates=3)
    assert 0.01 < evolution.estimates.noise.sd < 0.04
    seed = evolution.seed_individual
    assert len([one for one in seed.outcomes if one.replicate < CHOICE]) > 3
    agreed = evolve(tmp_path / "b", pop=3, gens=2, seed_replicates=3)
    assert len([one for one in agreed.seed_individual.outcomes if one.replicate < CHOICE]) == 3


def test_the_champion_is_confirmed_on_fresh_seeds(tmp_path: Path) -> None:
    evolution = evolve(tmp_path, pop=3, gens=10, function=noisy, seed_replicates=3)
    champion, seed = evolution.champion, evolution.seed_individual
    assert champion is not None and champion is not seed
    assert len(champion.fresh_scores) == len(seed.fresh_scores) == CONFIRM
    figure = confirmation(champion, seed, evolution.estimates.noise, evolution.direction)
    assert figure is not None
    assert figure.mean == pytest.approx(sum(champion.fresh_scores) / CONFIRM)
    assert figure.low < figure.mean < figure.high and figure.probability > 0.99
    fresh = [pair for pair in pairs(evolution) if pair[1] >= FRESH]
    assert [id for id, _ in fresh] == [champion.id, seed.id] * CONFIRM  # interleaved


def test_no_figure_mixes_the_scores_of_two_splits(tmp_path: Path) -> None:
    def other_splits(trial: Trial) -> Outcome:
        """Fresh runs are scored on text that is much harder, as no search could fail to notice."""
        outcome = noisy(trial)
        assert outcome.score is not None
        if trial.replicate < FRESH:
            assert trial.splits == ("search",)
            return outcome
        assert trial.splits == ("confirm", "locked")
        return replace(outcome, score=outcome.score + 100, locked=outcome.score + 200)

    plan: dict[str, Any] = {"pop": 3, "gens": 10, "seed_replicates": 3}
    alike = evolve(tmp_path / "alike", function=noisy, **plan)
    search = evolve(tmp_path / "search", function=other_splits, **plan)
    assert story(search) == story(alike)  # fitness included
    assert [one.id for one in search.population] == [one.id for one in alike.population]
    assert search.estimates.noise == alike.estimates.noise
    champion, seed = search.champion, search.seed_individual
    assert champion is not None and alike.champion is not None and champion.id == alike.champion.id
    assert champion.fitness.mean < seed.fitness.mean < 100 < min(champion.fresh_scores + seed.fresh_scores)
    figure = confirmation(champion, seed, search.estimates.noise, search.direction)
    assert figure is not None
    assert figure.mean == pytest.approx(sum(champion.fresh_scores) / CONFIRM) and figure.mean > 100
    assert 0 < figure.gain < 100 and 0 < figure.apparent < 100
    (locked,) = locked_lines(champion, seed)
    assert f"chosen by: {figure.mean + 100:.4f} (seed genome {figure.seed_mean + 100:.4f})" in locked
    again = evolve(tmp_path / "search", function=other_splits, **plan)  # read from the archive
    assert story(again) == story(search)
    assert locked_lines(again.champion or seed, again.seed_individual) == [locked]


def test_idle_slots_at_the_end_of_the_plan_measure_the_seed_genome_again(tmp_path: Path) -> None:
    together = threading.Barrier(2, timeout=30)
    beside: list[tuple[int, int]] = []

    def meet(trial: Trial) -> Outcome:
        if trial.individual == 4 and trial.replicate == 0:
            together.wait()
        elif trial.replicate >= CHOICE and not beside:
            beside.append((trial.individual, trial.replicate))
            together.wait()
        return evaluate(trial)

    evolve(tmp_path, pop=2, gens=2, workers=2, function=meet)
    assert beside == [(0, FRESH)]


def test_the_plain_search_has_one_run_an_individual(tmp_path: Path) -> None:
    evolution = evolve(tmp_path, pop=3, gens=6, selection="plain", replicate_share=0.0, confirm=0, function=noisy)
    assert all(len(one.outcomes) == 1 for one in evolution.archive.individuals.values())
    means = sorted(one.fitness.mean for one in evolution.archive.individuals.values())
    assert [one.fitness.mean for one in evolution.population] == means[:3]


def test_the_plan_is_kept_and_a_larger_one_extends_it(tmp_path: Path) -> None:
    evolution = evolve(tmp_path, pop=3, gens=4, workers=3)
    assert evolution.births == 12
    assert all(one.outcomes for one in evolution.archive.individuals.values())
    assert evolve(tmp_path, pop=3, gens=4).evaluations == evolution.evaluations
    assert evolve(tmp_path, pop=3, gens=6).births == 18


def test_the_search_improves_and_uses_both_operators(tmp_path: Path) -> None:
    evolution = evolve(tmp_path, pop=6, gens=12, workers=2)
    best = evolution.best
    assert best is not None
    assert best.fitness.mean < 0.6 * evolution.seed_individual.fitness.mean
    operators = {one.operator for one in evolution.archive.individuals.values()}
    assert operators == {"seed", "catalogue", "crossover"}
    merged = [one for one in evolution.archive.individuals.values() if one.operator == "crossover"]
    assert all(len(one.parents) == 2 for one in merged)
    genomes = [one.genome for one in evolution.archive.individuals.values()]
    assert len(set(genomes)) == len(genomes)
    assert [one.fitness.mean for one in evolution.population] == sorted(
        one.fitness.mean for one in evolution.archive.individuals.values()
    )[:6]


def test_elites_and_champion_are_branches(tmp_path: Path) -> None:
    evolution = evolve(tmp_path, pop=3, gens=6)

    def commit(ref: str) -> str:
        command = ["git", "-C", str(tmp_path / "archive.git"), "rev-parse", ref]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert evolution.champion is not None
    assert commit("champion") == evolution.champion.commit
    assert [commit(f"elite/{n}") for n in range(3)] == [one.commit for one in evolution.population]


def test_failures_are_archived_and_never_selected(tmp_path: Path) -> None:
    def fragile(trial: Trial) -> Outcome:
        if trial.individual % 3 == 1:
            return Outcome(Status.CRASHED, reason="it fell over", individual=trial.individual, tail="Traceback ...")
        return evaluate(trial)

    evolution = evolve(tmp_path, pop=4, gens=6, function=fragile)
    failed = [one for one in evolution.archive.individuals.values() if one.id % 3 == 1]
    assert len(failed) == 8
    assert all(one.outcomes[0].status is Status.CRASHED for one in failed)
    assert not set(failed) & set(evolution.population)
    assert not {one.id for one in failed} & {id for one in evolution.archive.individuals.values() for id in one.parents}


def test_nothing_is_born_before_the_seed_genome_is_measured(tmp_path: Path) -> None:
    broken = lambda trial: Outcome(Status.CRASHED, reason="no", individual=trial.individual)  # noqa: E731
    evolution = evolve(tmp_path, function=broken, workers=4)
    assert (evolution.births, evolution.evaluations, evolution.best) == (0, 1, None)
    mended = evolve(tmp_path, pop=2, gens=2, confirm=0)
    assert mended.seed_individual.fitness.count == 1
    assert mended.births == 4


def test_the_seed_genome_is_measured_in_all_slots_at_once(tmp_path: Path) -> None:
    together = threading.Barrier(3, timeout=30)
    seeds: list[int] = []

    def meet(trial: Trial) -> Outcome:
        if trial.individual == 0:
            seeds.append(trial.seed)
            together.wait()
        return evaluate(trial)

    evolution = evolve(tmp_path, pop=3, gens=1, workers=3, seed_replicates=3, function=meet, confirm=0)
    assert evolution.seed_individual.fitness.count == 3
    assert len(set(seeds)) == 3
    assert (evolution.births, evolution.evaluations) == (3, 6)
    assert evolve(tmp_path, pop=3, gens=1, seed_replicates=3, confirm=0).evaluations == 6
    assert evolve(tmp_path, pop=3, gens=1, seed_replicates=4, confirm=0).seed_individual.fitness.count == 4


def test_a_genome_that_calls_off_its_own_trial_has_cheated_and_is_not_run_again(tmp_path: Path) -> None:
    runs: list[int] = []

    def called_off(trial: Trial) -> Outcome:
        runs.append(trial.individual)
        if trial.individual in (3, 5):
            raise Cancelled(trial.individual)
        return evaluate(trial)

    evolution = evolve(tmp_path, pop=3, gens=3, function=called_off)
    assert (runs.count(3), runs.count(5)) == (1, 1)
    everyone = evolution.archive.individuals
    assert {id for id, one in everyone.items() if one.outcomes[0].status is Status.CHEATED} == {3, 5}


def test_as_many_trials_run_at_once_as_there_are_workers(tmp_path: Path) -> None:
    together = threading.Barrier(3, timeout=30)

    def meet(trial: Trial) -> Outcome:
        if trial.individual and not trial.replicate:  # births come in threes; replicates, when they are due
            together.wait()
        return evaluate(trial)

    assert evolve(tmp_path, pop=3, gens=3, workers=3, function=meet, confirm=0).births == 9


def test_operators_with_nothing_left_to_try_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evolve.breeding.ATTEMPTS", 1)
    with pytest.raises(UserError, match="nothing left to try"):
        evolve(tmp_path, pop=8, gens=1000)
