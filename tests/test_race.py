"""Racing as the engine does it: calibrated on the archive, cancelled through the trial's folder."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.curves import REFERENCE, learning_curve
from evolve.archive.repository import Archive
from evolve.arena import Direction
from evolve.engine import Evolution
from evolve.evaluation import heartbeat
from evolve.evaluation.heartbeat import Heartbeat
from evolve.evaluation.racing import CHECKPOINTS, Curve
from evolve.evaluation.trial import CANCEL_FILE, Trial
from evolve.individual import Individual, MinimisedFitness, Outcome, Status
from evolve.race import Race, race_of
from tests.stub import evaluate, evolve

GENOMES = {0: "WIDTH = 2\nWARMUP = 0.1\nprint(WARMUP)\n"}


def individual(id: int, genome: str) -> Individual:
    GENOMES[id] = genome
    return Individual(
        id,
        (0,) if id else (),
        operator="",
        idea="",
        generation=0,
        commit=str(id),
        read_genome=lambda commit: GENOMES[int(commit)],
        fitness=MinimisedFitness(),
    )


def filled(count: int = 60, let_through: float = 0.0) -> Race:
    """Racing that has seen `count` finished runs."""
    rng = np.random.default_rng(1)
    curves: dict[int, Curve] = {}
    race = Race(
        Direction.MIN,
        seed=0,
        time_box=5.0,
        read_curve=lambda one, place: curves[one.id],
        genome_of=GENOMES.__getitem__,
        schedule=("WARMUP",),
        let_through=let_through,
    )
    for id in range(1, count + 1):
        one = individual(id, f"WIDTH = {id}\nWARMUP = 0.1\nprint(WARMUP)\n")
        score = REFERENCE + 0.003 * abs(rng.standard_normal())
        curves[id] = learning_curve(score, rng)
        outcome = Outcome(Status.OK, score, individual=id, entered=id % 3 == 0)
        one.add(outcome)
        race.take(one, outcome)
    return race


def hopeless() -> list[tuple[float, float]]:
    return [(at, loss + 1.0) for at, loss in learning_curve(REFERENCE, np.random.default_rng(5))]


def stopped_at(race: Race, one: Individual, curve: Curve) -> float | None:
    for length in range(1, len(curve) + 1):
        if race.judge(one, curve[:length], REFERENCE + 0.001) is not None:
            return curve[length - 1][0]
    return None


def test_a_hopeless_run_is_stopped_at_the_first_checkpoint_and_a_good_one_never() -> None:
    race = filled()
    assert stopped_at(race, individual(900, "WIDTH = 3\nWARMUP = 0.1\nprint(WARMUP)\n"), hopeless()) == pytest.approx(
        CHECKPOINTS[0], abs=0.03
    )
    good = learning_curve(REFERENCE, np.random.default_rng(7))
    assert stopped_at(race, individual(901, "WIDTH = 4\nWARMUP = 0.1\nprint(WARMUP)\n"), good) is None


def test_an_edit_of_the_schedule_is_not_judged_before_seventy_percent() -> None:
    edited = individual(902, "WIDTH = 2\nWARMUP = 0.3\nprint(WARMUP)\n")
    assert stopped_at(filled(), edited, hopeless()) == pytest.approx(0.7, abs=0.03)


def test_nothing_is_stopped_before_there_are_enough_curves_or_while_there_is_room() -> None:
    one = individual(903, "WIDTH = 5\n")
    assert stopped_at(filled(10), one, hopeless()) is None
    assert filled().judge(one, hopeless(), float("inf")) is None


def test_those_let_through_are_noted_and_measure_the_mistakes() -> None:
    race = filled(let_through=0.999)
    one = individual(904, "WIDTH = 6\nWARMUP = 0.1\nprint(WARMUP)\n")
    assert stopped_at(race, one, hopeless()) is None
    at = race.let_through_at(one)
    assert at == CHECKPOINTS[0]
    outcome = Outcome(Status.OK, REFERENCE, individual=904, entered=True, let_through_at=at)
    one.add(outcome)
    race.take(one, outcome)
    assert race.record.let_through == 1
    assert 0 < race.record.rate < 0.01  # it stands for a thousandth of itself
    assert "measured on 1 let through" in str(race.record)


def test_a_raced_run_is_archived_with_its_curve_and_never_selected(tmp_path: Path) -> None:
    """The engine's own loop: heartbeats in, a cancel file out, its outcome archived."""
    cancelled: list[int] = []

    def run(trial: Trial) -> Outcome:
        outcome = evaluate(trial)
        folder = Path(trial.folder)
        folder.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(trial.individual).standard_normal(3)
        curve = [(k / 20, float(2 - k / 20 + (outcome.score or 0) + 0.001 * noise[k % 3])) for k in range(1, 21)]
        if trial.individual < 60 or trial.individual % 3 or trial.replicate:
            return replace(outcome, curve=curve)
        curve = [(at, loss + 50.0) for at, loss in curve[:8]]
        heartbeat.write(folder, Heartbeat("training", 0.0, 0.0, 1.0, curve[-1][0], curve[-1][1], curve, 0))
        for _ in range(40):
            if (folder / CANCEL_FILE).exists():
                cancelled.append(trial.individual)
                assert (folder / CANCEL_FILE).read_text().startswith("raced: at")
                break
            threading.Event().wait(0.05)
        return Outcome(
            Status.RACED, reason="at 40 %", individual=trial.individual, curve=curve, seconds={"training": 0.02}
        )

    plan: dict[str, Any] = {"pop": 4, "gens": 18, "function": run, "confirm": 0, "racing_of": race_of}
    evolution: Evolution = evolve(tmp_path, **plan)
    assert len(cancelled) >= 3
    assert evolution.racing is not None and evolution.racing.record.raced >= len(cancelled)
    assert not set(cancelled) & {one.id for one in evolution.population}
    with Archive.open(tmp_path / "archive.git") as archive:
        raced = archive.individuals[cancelled[0]]
        assert raced.outcomes[0].status is Status.RACED and raced.outcomes[0].score is None
        assert len(archive.curves(raced)[0]["curve"]) == 8
        again = race_of(archive, ())
        for one, outcome in archive.in_order():
            again.take(one, outcome)
        assert str(again.record) == str(evolution.racing.record)


def test_without_one_let_through_the_rate_of_mistakes_is_unknown() -> None:
    assert "not known yet" in str(filled().record)
