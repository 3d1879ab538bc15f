"""A batch scheduler's SIGTERM: what fits into its notice finishes, the rest is stopped, and all of it is saved."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evolve import stop as stop_module
from evolve.archive.repository import Archive
from evolve.evaluation.trial import Cancelled, Trial
from evolve.individual import Outcome
from evolve.stop import StopSignals
from tests import stub
from tests.command import TOY, start
from tests.weather.aftermath import goes_on
from tests.weather.orphans import Nursery


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(stop_module.time, "monotonic", lambda: now[0])
    return now


def test_boxes_that_fit_have_the_notice_but_for_its_last_seconds(clock: list[float]) -> None:
    with StopSignals(box=5.0, notice=30.0) as stop:
        assert (stop.drain, stop.now, stop.exit_code) == (False, False, 0)
        os.kill(os.getpid(), signal.SIGTERM)
        assert (stop.drain, stop.now, stop.exit_code) == (True, False, 130)
        assert stop.reason == "terminated: running boxes have 25 s to finish, then the search stops"
        clock[0] += 24.0
        assert not stop.now
        clock[0] += 2.0
        assert stop.now and stop.reason == "terminated: stopping at once"


@pytest.mark.parametrize("box", [300.0, 23.5])
def test_boxes_that_do_not_fit_are_stopped_at_once(clock: list[float], box: float) -> None:
    with StopSignals(box=box, notice=30.0) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.drain and stop.now and stop.exit_code == 130


def test_a_second_one_is_no_longer_patient(clock: list[float]) -> None:
    with StopSignals(box=5.0, notice=30.0) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.now


def test_an_immediate_stop_does_not_wait_for_what_no_worker_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = threading.Event()
    launched = []

    class Impatient:
        drain = now = property(lambda _: len(launched) == 2)

    class OneThread(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            stopping.set()

    def evaluate(trial: Trial) -> Outcome:
        assert stopping.wait(60)
        raise Cancelled

    monkeypatch.setattr(stub, "Never", Impatient)
    monkeypatch.setattr(stub.Silent, "launched", lambda _, trial: launched.append(trial))
    evolution = stub.evolve(tmp_path, workers=2, executor=OneThread(1), seed_replicates=2, function=evaluate)
    assert len(launched) == 2 and evolution.archive.pending() and not evolution.archive.in_order()


def test_a_search_told_in_time_finishes_its_boxes_and_goes_on_later(tmp_path: Path, nursery: Nursery) -> None:
    plan = ("--arena", TOY, "--out", "run", "--pop", 50, "--gens", 50, "--time-box", 1.0, "--notice", 90)
    process = start(*plan, cwd=tmp_path)
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "#0 " in line:
            break
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=60)[0]
    assert process.returncode == 130, rest
    assert "running boxes have 85 s to finish" in rest and "Continue" in rest
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        assert not archive.pending()
        assert all(outcome.score for _, outcome in archive.in_order())
    assert "recovered" not in goes_on(plan, tmp_path, tmp_path / "run", nursery, said + rest)
