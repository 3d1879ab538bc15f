"""Budgets in boxes and in seconds, the same for every strategy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evolve.evaluation.trial import Trial
from evolve.individual import Outcome, Status
from evolve.spending import Spending
from tests.stub import evaluate, evolve


def boxed(trial: Trial) -> Outcome:
    """Whole boxes of two seconds; every third offspring fails after half of one."""
    outcome = evaluate(trial)
    if trial.individual % 3 == 2:
        failed = {"status": Status.CRASHED, "score": None, "seconds": {"training": 1.0, "total": 1.5}}
        return replace(outcome, **failed)  # type: ignore[arg-type]
    return replace(outcome, seconds={"training": 2.0, "total": 3.0})


def test_what_ended_early_counts_its_share() -> None:
    spending = Spending(2.0)
    for training, total in ((2.0, 3.0), (0.5, 1.0), (2.4, 4.0)):
        spending.take(Outcome(Status.CRASHED, seconds={"training": training, "total": total}))
    assert spending.boxes == pytest.approx(2.25) and spending.seconds == pytest.approx(8.0)
    assert str(spending) == "2.2 boxes, 8 s of accelerator time"
    assert not spending.spent(100)


def test_a_script_that_prints_its_score_counts_all_of_its_time() -> None:
    spending = Spending(2.0)
    for seconds in ({"total": 1.0}, {"total": 3.0, "training": -5.0}, {}):
        spending.take(Outcome(Status.OK, 1.0, seconds=seconds, trusted=False))
    assert spending.boxes == pytest.approx(1.5)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_budget_in_boxes_ends_the_births_and_the_champion_is_confirmed_on_top(tmp_path: Path, workers: int) -> None:
    evolution = evolve(
        tmp_path, pop=4, gens=50, workers=workers, function=boxed, spending=Spending(2.0, max_boxes=12.0)
    )
    assert 11.0 < evolution.spending.boxes <= 12.0
    assert evolution.births < 30 and evolution.champion is not None and evolution.champion.fresh_scores
    again = evolve(tmp_path, pop=4, gens=50, function=boxed, spending=Spending(2.0, max_boxes=12.0))
    assert again.births == evolution.births and again.evaluations == evolution.evaluations
    more = evolve(tmp_path, pop=4, gens=50, function=boxed, spending=Spending(2.0, max_boxes=15.0))
    assert more.births > evolution.births


def test_a_budget_in_seconds(tmp_path: Path) -> None:
    evolution = evolve(tmp_path, pop=4, gens=50, function=boxed, spending=Spending(2.0, max_seconds=20.0))
    assert 20.0 <= evolution.spending.seconds < 23.0 and evolution.champion is not None
