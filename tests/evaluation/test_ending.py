"""Trials that will not end, or are ended: caps, killed engines and parents, cancelling; nothing is left."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evolve.evaluation import heartbeat, worker
from evolve.evaluation.process_tree import children_by_scan, descendants
from evolve.evaluation.trial import Cancelled, Trial, cancel
from evolve.evaluation.worker import run_trial
from evolve.individual import Status

from .conftest import MakeTrial
from .genomes import (
    CLINGING,
    CLOSE,
    HONEST,
    OPEN,
    RESULT,
    START,
    TRAIN,
    after_opening,
    alive,
    gone_within,
    noted,
)


@pytest.mark.parametrize("preload", [(), ("json",)], ids=["command", "warm"])
def test_an_endless_step_is_ended_with_all_that_it_started(
    make_trial: MakeTrial, preload: tuple[str, ...], tmp_path: Path
) -> None:
    trial = make_trial(OPEN + CLINGING + "while True: pass", preload=preload)
    outcome = run_trial(trial)
    genome, supervisor, _, *rest = noted(tmp_path / "pids")
    assert not any(map(alive, [genome, *rest]))
    assert gone_within([supervisor], 1.0)  # it has only to end itself
    assert outcome.status is Status.TIMED_OUT
    assert outcome.reason == "still training 0.5 s after its box of 0.3 s"
    assert outcome.seconds["training"] < trial.time_box + trial.grace + 1.0


@pytest.mark.parametrize(
    ("source", "changes", "reason"),
    [
        (START + "time.sleep(600)", {"startup": 0.4}, "asked for no batch within 0.4 s"),
        (OPEN + CLOSE + "time.sleep(600)", {"scoring": 0.4}, "was not scored 0.4 s after its box"),
        (OPEN + CLOSE + RESULT + "time.sleep(600)", {"scoring": 0.4}, "had not ended 0.4 s after its box"),
        (
            "import time\ntime.sleep(600)",
            {"score": "printed", "startup": 0.1, "time_box": 0.1, "grace": 0.1, "scoring": 0.1},
            "still running after 0.4 s, its overall cap",
        ),
    ],
    ids=["startup", "scoring", "exit", "printed"],
)
def test_every_phase_has_its_cap(make_trial: MakeTrial, source: str, changes: dict[str, object], reason: str) -> None:
    outcome = run_trial(make_trial(source, **changes))
    assert outcome.status is Status.TIMED_OUT
    assert outcome.reason.startswith(reason)
    assert outcome.seconds["total"] < 2.0


def test_what_an_honest_genome_leaves_running_is_ended(make_trial: MakeTrial, tmp_path: Path) -> None:
    outcome = run_trial(make_trial(after_opening(CLINGING), time_box=5.0))
    assert outcome.status is Status.OK
    genome, _, _, *rest = noted(tmp_path / "pids")
    assert not any(map(alive, [genome, *rest]))


def test_memory_past_the_cap_ends_the_tree(make_trial: MakeTrial) -> None:
    hog = "held = []\nwhile True:\n    held.append(b'x' * 10_000_000)\n    time.sleep(0.02)"
    outcome = run_trial(make_trial(OPEN + hog, memory_mb=200, time_box=30.0))
    assert outcome.status is Status.OUT_OF_MEMORY
    assert outcome.reason == "passed its cap of 200 MB of resident memory"
    assert outcome.peak_memory_mb is not None and outcome.peak_memory_mb > 200


CHILDREN = """
held = b'x' * {before}
children = []
for _ in range(4):
    pid = os.fork()
    if pid == 0:
        own = b'x' * {after}
        time.sleep(0.8)
        os._exit(0)
    children.append(pid)
for pid in children: os.waitpid(pid, 0)
"""


def test_memory_is_that_of_the_whole_tree(make_trial: MakeTrial) -> None:
    source = after_opening(CHILDREN.format(before=1, after=80_000_000))
    assert run_trial(make_trial(source, memory_mb=200, time_box=30.0)).status is Status.OUT_OF_MEMORY


def test_memory_that_children_share_counts_once(make_trial: MakeTrial) -> None:
    source = after_opening(CHILDREN.format(before=80_000_000, after=1))
    assert run_trial(make_trial(source, memory_mb=200, time_box=30.0)).status is Status.OK


def test_too_many_processes_end_the_tree(make_trial: MakeTrial) -> None:
    swarm = "for _ in range(400):\n    if os.fork() == 0:\n        time.sleep(600)\ntime.sleep(600)"
    outcome = run_trial(make_trial(OPEN + swarm, time_box=30.0))
    assert outcome.status is Status.CRASHED
    assert outcome.reason == "started more than 256 processes"


def test_a_genome_that_kills_its_supervisor_crashes_and_leaves_nothing(make_trial: MakeTrial, tmp_path: Path) -> None:
    outcome = run_trial(make_trial(OPEN + CLINGING + "os.kill(supervisor, 9)\ntime.sleep(600)", time_box=30.0))
    assert (outcome.status, outcome.reason) == (Status.CRASHED, "the process that supervises it was killed")
    genome, _, _, *rest = noted(tmp_path / "pids")
    assert gone_within([genome, *rest], 3.0)


def test_a_genome_that_stops_its_supervisor_is_ended(
    make_trial: MakeTrial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "KILL_CAP", 0.2)
    stop = "os.kill(supervisor, signal.SIGSTOP)\nwhile True: time.sleep(1)"
    assert run_trial(make_trial(OPEN + CLINGING + stop)).status is Status.TIMED_OUT
    genome, _, _, *rest = noted(tmp_path / "pids")
    assert gone_within([genome, *rest], 3.0)


def test_nothing_survives_a_killed_engine(make_trial: MakeTrial, tmp_path: Path) -> None:
    trial = make_trial(OPEN + CLINGING + "time.sleep(600)", time_box=600.0)
    (tmp_path / "trial.pickle").write_bytes(pickle.dumps(trial))
    code = (
        "import pickle, sys; from evolve.evaluation.worker import run_trial; "
        "run_trial(pickle.load(open(sys.argv[1], 'rb')))"
    )
    engine = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "trial.pickle")])
    pids = noted(tmp_path / "pids")
    assert all(map(alive, pids))
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    assert gone_within(pids, 3.0)


def test_a_killed_warm_parent_is_replaced(make_trial: MakeTrial, tmp_path: Path) -> None:
    whose = after_opening("note(warm)")
    preload = ("json", "string")
    assert run_trial(make_trial(whose, preload=preload)).status is Status.OK
    first = noted(tmp_path / "pids")
    os.kill(first[0], signal.SIGKILL)
    assert run_trial(make_trial(whose, preload=preload)).status is Status.OK
    assert noted(tmp_path / "pids") != first


def test_a_running_trial_outlives_its_warm_parent(make_trial: MakeTrial) -> None:
    source = after_opening("os.kill(warm, signal.SIGKILL); time.sleep(0.3)")
    assert run_trial(make_trial(source, preload=("json", "textwrap"))).status is Status.OK


def test_threads_share_a_warm_parent(make_trial: MakeTrial) -> None:
    trials = [make_trial(HONEST, preload=("json", "calendar")) for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        outcomes = list(threads.map(run_trial, trials))
    assert [outcome.status for outcome in outcomes] == [Status.OK] * 6
    assert [outcome.individual for outcome in outcomes] == [trial.individual for trial in trials]


def _when_training(trial: Trial) -> heartbeat.Heartbeat:
    until = time.monotonic() + 5.0
    while time.monotonic() < until:
        beat = heartbeat.read(trial.folder)
        if beat is not None and beat.curve:
            return beat
        time.sleep(0.01)
    raise AssertionError("no heartbeat of a training trial")


def test_a_trial_is_raced_out(make_trial: MakeTrial) -> None:
    trial = make_trial(OPEN + TRAIN + "time.sleep(600)", time_box=2.0)
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(run_trial, trial)
        beat = _when_training(trial)
        assert (beat.phase, beat.loss) == ("training", 3.0)
        assert beat.opened is not None and beat.started <= beat.opened <= time.time()
        assert 0.0 < beat.elapsed < 2.0
        assert alive(beat.pid)
        assert cancel(trial.folder, "raced: 3.0 after a third of the box")
        outcome = future.result(timeout=5)
    assert (outcome.status, outcome.reason) == (Status.RACED, "3.0 after a third of the box")
    assert outcome.curve == [(1 / 3, 3.0)]
    assert not Path(trial.folder).exists()
    assert not cancel(trial.folder, "raced: too late")


def test_a_trial_that_is_called_off_has_no_outcome(make_trial: MakeTrial) -> None:
    trial = make_trial(OPEN + TRAIN + "time.sleep(600)", time_box=2.0)
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(run_trial, trial)
        beat = _when_training(trial)
        cancel(trial.folder, "the engine stops")
        with pytest.raises(Cancelled, match="the engine stops"):
            future.result(timeout=5)
    assert not alive(beat.pid)


def test_a_heartbeat_that_a_genome_wrote_is_no_heartbeat(tmp_path: Path) -> None:
    for text in ("", "[]", "{}", '{"curve": 1}', '{"curve": [], "phase": "holiday"}', "\0"):
        (tmp_path / heartbeat.NAME).write_text(text)
        assert heartbeat.read(tmp_path) is None


def test_both_ways_to_list_a_tree_agree() -> None:
    tree = subprocess.Popen(["sh", "-c", "sleep 60 & sleep 60 & wait"], start_new_session=True)
    try:
        until = time.monotonic() + 5
        while len(descendants(tree.pid)) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        assert len(descendants(tree.pid)) == 2
        assert sorted(children_by_scan()(tree.pid)) == sorted(descendants(tree.pid))
        assert descendants(os.getpid(), skip=[tree.pid]) == [
            pid for pid in descendants(os.getpid()) if pid not in {tree.pid, *descendants(tree.pid)}
        ]
    finally:
        os.killpg(tree.pid, signal.SIGKILL)
        tree.wait()
