"""Runs on a GPU that were slower than others: marked, run again, not selected by."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from evolve.disturbance import Disturbance
from evolve.engine import RERUNS
from evolve.evaluation.trial import Trial
from evolve.individual import FRESH, Outcome, Status
from tests.stub import evaluate, evolve, rough, story


def run(individual: int = 1, *, steps: int = 1000, clock: float | None = 1980.0, device: str = "cuda:0") -> Outcome:
    seconds = {"training": 300.0}
    return Outcome(Status.OK, 1.0, individual=individual, seconds=seconds, steps=steps, clock_mhz=clock, device=device)


def known(*outcomes: Outcome) -> Disturbance:
    disturbance = Disturbance()
    for outcome in outcomes:
        disturbance.take(outcome)
    return disturbance


def test_steps_are_compared_with_those_of_the_same_genome() -> None:
    disturbance = known(run(1), run(2, steps=3000))
    assert disturbance.judge(run(1, steps=960)).status is Status.OK
    slow = disturbance.judge(run(1, steps=940))
    assert slow.status is Status.DISTURBED
    assert slow.reason == "a step took 319.1 ms, 300.0 ms in its other runs; it scored 1.000000"
    assert disturbance.judge(run(3, steps=100)).status is Status.OK  # it may be a slow genome


def test_clocks_are_compared_with_those_of_the_archive() -> None:
    assert known(run(), run()).judge(run(2, clock=1000.0)).status is Status.OK  # too few to say
    disturbance = known(run(1), run(2), run(3))
    assert disturbance.judge(run(4, clock=1900.0)).status is Status.OK
    assert "clock was 1800 MHz, 1980 MHz usually" in disturbance.judge(run(4, clock=1800.0)).reason


def test_a_disturbed_run_is_no_yardstick_and_a_cpu_is_left_alone() -> None:
    disturbance = known(run(1), *[run(1, steps=500).disturbed("slow")] * 9)
    assert disturbance.judge(run(1, steps=500)).status is Status.DISTURBED
    assert known(run(1, device="cpu")).judge(run(1, steps=10, device="cpu")).status is Status.OK


def test_a_disturbed_run_is_run_again_and_changes_nothing(tmp_path: Path) -> None:
    seen: dict[tuple[int, int], int] = {}

    def often(trial: Trial) -> Outcome:
        pair = (trial.individual, trial.replicate)
        seen[pair] = seen.get(pair, 0) + 1
        if trial.individual % 3 == 1 and seen[pair] <= RERUNS:
            return replace(evaluate(trial), score=0.1).disturbed("a neighbour")
        return evaluate(trial)

    plain = evolve(tmp_path / "plain", pop=3, gens=6)
    other = evolve(tmp_path / "other", pop=3, gens=6, function=often)
    assert story(other) == story(plain)
    assert other.evaluated == plain.evaluated and other.replicates == plain.replicates
    marked = [one for _, one in other.archive.in_order() if one.status is Status.DISTURBED]
    assert len(marked) == sum(count - 1 for count in seen.values()) > 6
    assert marked[0].reason == "a neighbour; it scored 0.100000"


def test_what_is_always_disturbed_is_given_up_for_this_session(tmp_path: Path) -> None:
    def always(trial: Trial) -> Outcome:
        outcome = evaluate(trial)
        return outcome.disturbed("a neighbour") if trial.individual == 2 else outcome

    evolution = evolve(tmp_path, pop=2, gens=3, function=always)
    unlucky = evolution.archive.individuals[2]
    assert [one.status for one in unlucky.outcomes] == [Status.DISTURBED] * (RERUNS + 1)
    assert not unlucky.fitness.valid and unlucky not in evolution.population
    again = evolve(tmp_path, pop=2, gens=3)  # another day
    assert again.archive.individuals[2].fitness.measured


def test_neither_confirmation_nor_replicates_that_are_always_disturbed_are_run_for_ever(tmp_path: Path) -> None:
    def always(trial: Trial) -> Outcome:
        outcome = rough(trial)
        return outcome.disturbed("a neighbour") if trial.replicate >= FRESH or trial.replicate == 3 else outcome

    evolution = evolve(tmp_path, pop=3, gens=8, function=always, seed_replicates=3, confirm=2)
    assert evolution.births == 24
    counts = Counter((one.id, outcome.replicate) for one, outcome in evolution.archive.in_order() if not outcome.counts)
    assert any(replicate >= FRESH for _, replicate in counts) and (0, 3) in counts
    assert set(counts.values()) == {RERUNS + 1}
