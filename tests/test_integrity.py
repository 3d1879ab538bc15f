"""Who is scored again, and what becomes of flagged edits: the engine's part, with trials that are functions."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from evolve.archive.repository import Archive
from evolve.arena import Flagged
from evolve.breeding import Operators
from evolve.engine import Evolution
from evolve.evaluation.trial import Trial
from evolve.individual import CHOICE, Individual, Offspring, Outcome, Status
from evolve.inspect import show, status
from tests.stub import evaluate, evolve


class EveryOther(Operators):
    """The operators, but every other offspring reads a file."""

    def take(self, evolution: Evolution, cross: bool | None = None) -> Offspring:
        offspring = super().take(evolution, cross)
        if len(evolution.archive.individuals) % 2:
            return offspring
        return replace(offspring, genome=offspring.genome + f"open('x{len(evolution.archive.individuals)}')\n")


def run(folder: Path, flagged: Flagged, trials: list[Trial] | None = None, gens: int = 6) -> Evolution:
    def watched(trial: Trial) -> Outcome:
        if trials is not None:
            trials.append(trial)
        return evaluate(trial)

    return evolve(folder, pop=3, gens=gens, function=watched, flagged=flagged, sources_of=lambda _: [EveryOther()])


def flagged_ones(evolution: Evolution) -> list[Individual]:
    return [one for one in evolution.archive.individuals.values() if one.outcomes and one.outcomes[0].flags]


def test_flagged_edits_are_archived_and_not_run_where_the_arena_rejects_them(tmp_path: Path) -> None:
    evolution = run(tmp_path, Flagged.REJECT)
    flagged = flagged_ones(evolution)
    assert evolution.births == 18 and 3 < len(flagged) < 18
    assert all(one.outcomes[0].status is Status.REJECTED and len(one.outcomes) == 1 for one in flagged)
    assert "no business with: line " in flagged[0].outcomes[0].reason and "use of open" in flagged[0].outcomes[0].reason
    assert not set(flagged) & set(evolution.population)


def test_a_flagged_edit_that_a_killed_engine_left_is_not_run_either(tmp_path: Path) -> None:
    run(tmp_path, Flagged.REJECT, gens=1)
    with Archive.open(tmp_path / "archive.git", write=True) as archive:
        seed = archive.individuals[0]
        left = archive.add(Offspring("import socket\n" + seed.genome, (0,), "catalogue", "Open a socket", 1)).id
    trials: list[Trial] = []
    evolution = run(tmp_path, Flagged.REJECT, trials, gens=3)
    assert evolution.archive.individuals[left].outcomes[0].status is Status.REJECTED
    assert left not in {trial.individual for trial in trials}


def test_flagged_edits_are_run_and_always_scored_again_where_it_audits_them(tmp_path: Path) -> None:
    trials: list[Trial] = []
    evolution = run(tmp_path, Flagged.AUDIT, trials)
    flagged = {one.id for one in flagged_ones(evolution)}
    assert len(flagged) > 3
    assert all(trial.bar == math.inf for trial in trials if trial.individual in flagged)
    with Archive.open(tmp_path / "archive.git") as archive:  # what a resume reads
        assert any("use of open" in flag for flag in archive.individuals[min(flagged)].outcomes[0].flags)
    assert f"edits flagged (#{min(flagged)}" in status(str(tmp_path))
    assert "its edit touches" in show(str(tmp_path), str(min(flagged)))


def test_nothing_is_flagged_where_it_allows_everything(tmp_path: Path) -> None:
    trials: list[Trial] = []
    evolution = run(tmp_path, Flagged.ALLOW, trials)
    assert flagged_ones(evolution) == []
    assert any(trial.bar is not None and trial.bar < math.inf for trial in trials)


def test_whoever_would_enter_the_population_is_scored_again(tmp_path: Path) -> None:
    seen: list[tuple[Trial, Outcome]] = []

    def watched(trial: Trial) -> Outcome:
        outcome = evaluate(trial)
        seen.append((trial, outcome))
        return outcome

    evolution = evolve(tmp_path, pop=3, gens=12, function=watched)
    bars = {(trial.individual, trial.replicate): trial.bar for trial, _ in seen}
    assert all(bars[one.id, 0] is not None for one in evolution.archive.individuals.values())
    entered = [(trial, outcome) for trial, outcome in seen if _entered(evolution, outcome)]
    assert entered and all(outcome.score <= trial.bar for trial, outcome in entered if outcome.score and trial.bar)
    assert any(outcome.score > trial.bar for trial, outcome in seen if outcome.score and trial.bar)
    assert all(trial.bar == math.inf for trial, _ in seen if trial.replicate >= CHOICE)


def _entered(evolution: Evolution, outcome: Outcome) -> bool:
    return any(one.entered for one in evolution.archive.individuals[outcome.individual].outcomes)
