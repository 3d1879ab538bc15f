"""GPUs as nvidia-smi tells them, and trials that were not alone on theirs."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from evolve.errors import UserError
from evolve.evaluation import executors, gpu, undisturbed
from evolve.evaluation.executors import LocalExecutor, Slot, gpu_slots, slots_on, usable_cores
from evolve.evaluation.gpu import Sample
from evolve.evaluation.trial import Cancelled, cancel
from evolve.evaluation.undisturbed import judged, run_undisturbed, wait_until_free
from evolve.individual import Outcome, Status

from .conftest import MakeTrial
from .genomes import HONEST
from .nvidia import FakeSmi, smi

__all__ = ["smi"]


def test_gpus_are_given_out_one_a_slot_with_cores_of_its_own(smi: FakeSmi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "usable_cores", lambda: [0, 1, 2, 3, 4])
    assert slots_on("cuda", None, 64) == [Slot((0, 1), "GPU-a"), Slot((2, 3), "GPU-b")]  # as many as there are
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert gpu_slots(None, 1) == [Slot((0,), "5"), Slot((1,), "7")]
    with pytest.raises(UserError, match="3 workers, and there are 2 GPUs"):
        gpu_slots(3, 1)


def test_without_a_gpu_it_is_said(smi: FakeSmi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu.list_gpus() == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    smi.say(uuid="")  # the variable alone makes no GPU
    assert gpu.list_gpus() == []
    with pytest.raises(UserError, match="no NVIDIA GPU"):
        gpu_slots(1, 1)


def test_names_and_users(smi: FakeSmi) -> None:
    assert gpu.gpu_names(["GPU-a"]) == "NVIDIA H100 80GB HBM3"
    assert gpu.gpu_names(["GPU-a", "GPU-b"]) == "2 x NVIDIA H100 80GB HBM3"
    assert gpu.users("GPU-a") == ""
    smi.say(memory="40000")
    assert gpu.users("GPU-a") == "somebody who holds 40000 MB of its memory"
    smi.say(apps="77, python3")
    assert gpu.users("GPU-a") == "process 77 (python3)"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undisturbed, "SETTLE", 0.0)
    monkeypatch.setattr(undisturbed, "LOOK", 0.01)


@pytest.mark.usefixtures("impatient")
def test_a_trial_waits_for_its_gpu(smi: FakeSmi, make_trial: MakeTrial) -> None:
    smi.say(apps="77, python3")
    trial = make_trial(HONEST, device="cuda")
    with LocalExecutor([Slot((usable_cores()[0],), "GPU-a")]) as executor:
        future = executor.submit(run_undisturbed, trial)
        while not (Path(trial.folder) / "heartbeat").exists():
            time.sleep(0.01)
        assert not future.done()
        smi.say(apps="", clock="1755, 0x0000000000000004")  # the cap on power: normal at full load
        outcome = future.result()
    assert (outcome.status, outcome.score, outcome.clock_mhz) == (Status.OK, 2.5, 1755)
    assert Outcome.from_record(asdict(outcome)) == outcome


@pytest.mark.usefixtures("impatient")
def test_who_came_during_a_trial_disturbed_it(smi: FakeSmi, make_trial: MakeTrial) -> None:
    trial = make_trial(HONEST, device="cuda", time_box=1.0)
    with LocalExecutor([Slot((usable_cores()[0],), "GPU-a")]) as executor:
        future = executor.submit(run_undisturbed, trial)
        while not future.done() and not (Path(trial.folder) / "heartbeat").exists():
            time.sleep(0.01)
        smi.say(apps="88, trainer")
        outcome = future.result()
    assert (outcome.status, outcome.score) == (Status.DISTURBED, None)
    assert outcome.reason == "the GPU was used by process 88 (trainer), too; it scored 2.500000"


@pytest.mark.usefixtures("impatient")
def test_whoever_waits_for_ever_is_told_why(smi: FakeSmi, make_trial: MakeTrial) -> None:
    smi.say(apps="77, python3")
    with pytest.raises(UserError, match=r"GPU-a is used by process 77 \(python3\)"):
        wait_until_free("GPU-a", make_trial(HONEST), patience=0.05)


@pytest.mark.usefixtures("impatient")
def test_a_trial_that_waits_can_be_called_off(smi: FakeSmi, make_trial: MakeTrial) -> None:
    smi.say(apps="77, python3")
    trial = make_trial(HONEST)
    done: list[BaseException] = []

    def waiting() -> None:
        try:
            wait_until_free("GPU-a", trial)
        except Cancelled as error:
            done.append(error)

    thread = threading.Thread(target=waiting)
    thread.start()
    while not cancel(trial.folder, "no more"):
        time.sleep(0.01)
    thread.join(30)
    assert done and not Path(trial.folder).exists()


def outcome(status: Status = Status.OK) -> Outcome:
    score = 1.25 if status is Status.OK else None
    return Outcome(
        status, score, started=100.0, seconds={"startup": 10.0, "training": 20.0}, device="cuda", locked=score
    )


def at(*unix: float, reasons: int = 0) -> list[Sample]:
    return [Sample(one, 1980.0, reasons) for one in unix]


def test_only_what_happened_in_the_box_counts() -> None:
    hot = at(105.0, 131.0, reasons=0x20)  # start-up and scoring
    assert judged(outcome(), [*hot, *at(111.0, 120.0)], "").status is Status.OK
    throttled = judged(outcome(), at(*range(111, 121)) + at(122.0, reasons=0x20), "")
    assert throttled.status is Status.DISTURBED and throttled.score is None and throttled.locked is None
    assert throttled.reason == "the GPU was throttled in 9 % of the box (software thermal slowdown); it scored 1.250000"


@pytest.mark.parametrize("status", list(Status))
def test_company_explains_a_poor_run_but_no_crash(status: Status) -> None:
    seen = judged(outcome(status), [], "process 7 (python)")
    assert (seen.status is Status.DISTURBED) == (status not in (Status.CRASHED, Status.REJECTED, Status.CHEATED))
