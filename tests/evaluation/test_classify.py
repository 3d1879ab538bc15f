"""What became of a trial, from what was seen of it: clocks, the kernel's accounts, and a second scoring."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from evolve.evaluation.classify import Ending, outcome, rescored
from evolve.evaluation.launcher import Exit
from evolve.evaluation.output import Output
from evolve.evaluation.report import Phase, Report
from evolve.evaluation.trial import Trial
from evolve.individual import Outcome, Status

TRIAL = Trial(0, 0, 1, "", "train.py", "/nowhere", time_box=5.0, grace=2.0, startup_cpu=3.0)


def seen(**changes: Any) -> Report:
    """The report of an honest run of five seconds."""
    report = Report("val_bpb", phase=Phase.SCORING, opened=10.0, closed=15.1, finished=True, score=2.5)
    report.training_seconds, report.steps, report.tokens, report.state = 5.05, 100, 6400, "c0ffee"
    report.last_step, report.longest_step = 0.05, 0.06
    return replace(report, **changes)


def ending(report: Report, opened: float = 0.2, closed: float = 5.2, **changes: Any) -> Ending:
    cpu = {"open": opened, "close": closed}
    return replace(Ending(report, Output(100), None, Exit(0, 100.0, ""), 0.0, 9.5, 16.0, cpu, 1), **changes)


def test_an_honest_run_is_ok_with_its_accounts() -> None:
    told = outcome(TRIAL, ending(seen()))
    assert (told.status, told.score) == (Status.OK, 2.5)
    assert told.seconds["startup_cpu"] == 0.2 and told.seconds["training_cpu"] == 5.0


@pytest.mark.parametrize(
    ("report", "cpu", "status", "reason"),
    [
        ({"training_seconds": 3.0}, (0.2, 5.2), Status.CHEATED, "claims 3.00 s of training, where 5.10 s passed"),
        ({"training_seconds": 4.2}, (0.2, 5.2), Status.CHEATED, "used 5.00 s of the CPU in 4.20 s"),
        ({}, (0.2, 9.2), Status.CHEATED, "used 9.00 s of the CPU in 5.05 s of training on 1 cores"),
        ({}, (3.1, 8.1), Status.TIMED_OUT, "used 3.10 s of the CPU before its clock opened, where 3 s are allowed"),
        (
            {"training_seconds": 6.6, "closed": 16.6, "last_step": 1.6},
            (0.2, 6.8),
            Status.TIMED_OUT,
            "went on for 1.60 s",
        ),
        ({"training_seconds": 7.5, "closed": 17.5}, (0.2, 7.0), Status.TIMED_OUT, "trained 7.50 s in a box of 5 s"),
    ],
)
def test_who_trains_outside_of_the_box_is_found(
    report: dict[str, float], cpu: tuple[float, float], status: Status, reason: str
) -> None:
    told = outcome(TRIAL, ending(seen(**report), *cpu))
    assert (told.status, told.score) == (status, None)
    assert reason in told.reason


def test_a_slow_step_at_the_end_of_a_box_is_no_overtime() -> None:
    long = {"training_seconds": 6.6, "closed": 16.6, "last_step": 1.6}
    for slow in ({"longest_step": 1.5}, {"longest_step": math.inf}):  # as slow as the others; the only one
        assert outcome(TRIAL, ending(seen(**long, **slow), 0.2, 6.8)).status is Status.OK


def test_several_cores_have_as_much_time_each() -> None:
    assert outcome(TRIAL, ending(seen(), 0.2, 20.0, cores=4)).status is Status.OK
    assert outcome(TRIAL, ending(seen(), 0.2, 25.0, cores=4)).status is Status.CHEATED


def again(report: Report | None = None, **changes: Any) -> Outcome:
    first = ending(seen())
    second = ending(seen(model="graph") if report is None else report, **changes)
    return rescored(outcome(TRIAL, first), first, second)


def test_the_second_score_counts_where_both_agree() -> None:
    told = again(seen(score=2.5001, model="code", locked=2.6))
    assert (told.status, told.score, told.reported, told.locked) == (Status.OK, 2.5001, 2.5, 2.6)
    assert told.verified == "code" and told.seconds["again"] == 6.5


@pytest.mark.parametrize(
    ("report", "changes", "status", "reason"),
    [
        ({"score": 2.6}, {}, Status.CHEATED, "reported 2.500000, and its model, scored again by itself, has 2.600000"),
        ({"state": "decaf"}, {}, Status.CHEATED, "handed over another model"),
        ({"violation": "not causal"}, {}, Status.CHEATED, "scored again by itself: not causal"),
        ({"score": None}, {"exit": Exit(4, 1.0, "")}, Status.CRASHED, "could not be scored again"),
        ({"score": None}, {"stop": (Status.TIMED_OUT, "too slow")}, Status.TIMED_OUT, "too slow"),
    ],
)
def test_where_they_do_not_agree_there_is_no_score(
    report: dict[str, Any], changes: dict[str, Any], status: Status, reason: str
) -> None:
    told = again(seen(**report), **changes)
    assert (told.status, told.score, told.verified) == (status, None, "")
    assert reason in told.reason


def test_who_does_not_hand_over_its_model_has_no_score() -> None:
    first = ending(seen())
    assert rescored(outcome(TRIAL, first), first, None).status is Status.CHEATED


def test_only_scores_that_are_good_enough_are_computed_again() -> None:
    trial = replace(TRIAL, scorer="gpt.rescore", bar=2.5)
    assert [trial.rescores(score) for score in (2.4, 2.5, 2.6, None)] == [True, True, False, False]
    assert [replace(trial, higher_is_better=True).rescores(score) for score in (2.4, 2.5, 2.6)] == [False, True, True]
    assert not replace(trial, bar=None).rescores(1.0) and not replace(trial, scorer="").rescores(1.0)
