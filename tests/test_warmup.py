"""The seed genome's run for the compile cache's sake."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evolve import arena
from evolve.evaluation.trial import Cancelled, Trial
from evolve.individual import Outcome, Status
from evolve.rundir import RunDirectory
from evolve.trials import Data, TrialMaker
from evolve.warmup import fill_compile_cache
from tests.stub import TOY, Never, open_archive


class Now(Never):
    now = True


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    toy = arena.load(str(TOY))
    archive = open_archive(tmp_path / "archive.git", toy)
    maker = TrialMaker(toy, Data("toy", "toy", ""), RunDirectory(tmp_path))
    trial = maker.warm(archive.individuals[0])
    archive.close()
    return trial


def said(trial: Trial, outcome: Outcome | Exception, stop: Never | None = None) -> list[str]:
    def evaluate(one: Trial) -> Outcome:
        assert one is trial and one.fills_cache and one.individual == -1
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    lines: list[str] = []
    with ThreadPoolExecutor(1) as executor:
        fill_compile_cache(trial, evaluate, executor, stop or Never(), lines.append)
    return lines


def test_a_failure_is_said_and_no_more(trial: Trial) -> None:
    assert len(said(trial, Outcome(Status.OK, 1.0))) == 1
    failed = said(trial, Outcome(Status.CRASHED, reason="no compiler"))
    assert failed[1] == "compiling  failed (crashed: no compiler): every run compiles for itself"


def test_an_immediate_stop_ends_it(trial: Trial) -> None:
    assert len(said(trial, Cancelled("the executor was shut down"), Now())) == 1
