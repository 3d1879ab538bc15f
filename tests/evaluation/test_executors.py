"""Slots and the local executor."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.errors import UserError
from evolve.evaluation import executors
from evolve.evaluation.executors import LocalExecutor, Slot, current_slot, local_slots
from evolve.evaluation.trial import Cancelled
from evolve.evaluation.worker import run_trial

from .conftest import MakeTrial
from .genomes import OPEN


@given(cores=st.integers(1, 64), each=st.integers(1, 70), workers=st.none() | st.integers(-1, 70))
def test_slots_are_disjoint_and_as_asked_or_refused(cores: int, each: int, workers: int | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executors, "usable_cores", lambda: list(range(cores)))
        most = cores // each
        if most == 0 or (workers is not None and not 1 <= workers <= most):
            with pytest.raises(UserError):
                local_slots(workers, each)
            return
        slots = local_slots(workers, each)
    assert len(slots) == (most if workers is None else workers)
    assert all(len(slot.cores) == each for slot in slots)
    assert len({core for slot in slots for core in slot.cores}) == each * len(slots)


def test_another_system_is_told_so(monkeypatch: pytest.MonkeyPatch, make_trial: MakeTrial) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(UserError, match="on Linux only"):
        local_slots(1, 1)
    with pytest.raises(UserError, match="on Linux only"):
        run_trial(make_trial(OPEN))


def test_too_many_workers_are_told_how_many_there_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "usable_cores", lambda: [0, 1, 2, 3])
    with pytest.raises(UserError, match="give --workers 2 or fewer"):
        local_slots(3, 2)


def test_a_quota_counts_whole_cores(tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    assert executors._quota(quota) is None
    for text, cores in (("max 100000", None), ("250000 100000", 2), ("50000 100000", 1)):
        quota.write_text(text)
        assert executors._quota(quota) == cores


def test_every_thread_holds_one_slot() -> None:
    slots = [Slot((0,)), Slot((1,)), Slot((2,))]
    meeting = threading.Barrier(3)

    def where(_: int) -> Slot:
        meeting.wait(timeout=10)
        return current_slot()

    with LocalExecutor(slots) as executor:
        for _ in range(3):
            assert set(executor.map(where, range(3))) == set(slots)
    assert current_slot().gpu is None


def test_slots_that_share_a_core_are_refused() -> None:
    with pytest.raises(ValueError, match="share a core"):
        LocalExecutor([Slot((0, 1)), Slot((1, 2))])


def test_leaving_by_an_exception_ends_what_runs(make_trial: MakeTrial) -> None:
    trial = make_trial(OPEN + "time.sleep(600)", time_box=600.0)
    with pytest.raises(KeyboardInterrupt), LocalExecutor(local_slots(1, 1)) as executor:
        running = executor.submit(run_trial, trial)
        waiting = executor.submit(run_trial, make_trial(OPEN))
        while not (Path(trial.folder) / "heartbeat").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt
    with pytest.raises(Cancelled):
        running.result(timeout=0)
    assert waiting.cancelled()
