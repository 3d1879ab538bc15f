"""Kills and stops in the short times in which a process is not yet bound to end with another."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evolve.evaluation import launcher, supervisor
from evolve.evaluation.isolation import Isolation, warm_parents
from evolve.evaluation.job import Job
from evolve.evaluation.launcher import ParentDied, WarmParent
from evolve.evaluation.process_tree import descendants, die_with_parent
from evolve.evaluation.trial import HarnessFault
from evolve.evaluation.worker import run_trial
from evolve.individual import Status
from evolve.sandbox.confinement import Mode
from evolve.sandbox.view import View
from tests.sandbox.isolated import run_isolated

from ..hostile.modes import needs
from .conftest import MakeTrial
from .genomes import HONEST, alive, gone_within

# Holds bubblewrap's first process when its second exists and waits for its go-ahead.
HOLD = '#!/bin/sh\nexec {bwrap} --userns-block-fd 9 --info-fd 8 "$@" 9<>{hold} 8>{info}\n'


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def job(scratch: Path) -> Job:
    return Job([], "script", {}, sorted(os.sched_getaffinity(0)), 100, 100, Mode.NONE, View.make(scratch, []))


@pytest.mark.parametrize("mode", [pytest.param("bwrap", marks=needs("bwrap"))])
def test_bubblewrap_killed_between_its_two_processes_leaves_neither(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its supervisor is killed, and with that the first; the warm parent, which would end the second, was before."""
    hold, info, program = tmp_path / "hold", tmp_path / "info", tmp_path / "bin" / "bwrap"
    os.mkfifo(hold)
    program.parent.mkdir()
    program.write_text(HOLD.format(bwrap=shutil.which("bwrap"), hold=hold, info=info))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    (tmp_path / "scratch").mkdir()
    place = Isolation(Mode(mode), tmp_path / "scratch")
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(run_isolated, [sys.executable, "-c", "pass"], place, seconds=600)
        wait_until(lambda: info.exists() and "}" in info.read_text())
        second = int(json.loads(info.read_text())["child-pid"])
        try:
            first = parent_of(second)
            supervising = parent_of(first)
            warm = parent_of(supervising)
            os.kill(warm, signal.SIGKILL)
            wait_until(lambda: not alive(warm))
            assert all(map(alive, (second, first, supervising)))
            os.kill(supervising, signal.SIGKILL)
            with pytest.raises(HarnessFault, match="the process that supervises a command was killed"):
                future.result(30)
            assert gone_within([first, second], 5.0)
        finally:
            if alive(second):
                os.kill(second, signal.SIGKILL)


def test_a_supervisor_that_the_harness_does_not_know_of_ends_with_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The genome's process was stopped before it was confined, say, and the harness has given the parent up."""

    def stopped(*_: object) -> None:
        die_with_parent()
        signal.pause()

    monkeypatch.setattr(supervisor, "become_genome", stopped)
    ours, theirs = socket.socketpair()
    output = os.open(os.devnull, os.O_WRONLY)
    parent = os.fork()
    if parent == 0:
        try:
            parent = os.getpid()
            if os.fork() == 0:
                supervisor.supervise(job(tmp_path), parent, theirs, output, [])
            signal.pause()
        finally:
            os._exit(1)
    wait_until(lambda: len(descendants(parent)) == 2)
    left = descendants(parent)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    for end in (ours, theirs):
        end.close()
    os.close(output)
    try:
        assert gone_within(left, 5.0)
    finally:
        for pid in filter(alive, left):
            os.kill(pid, signal.SIGKILL)


def test_an_engine_that_ends_leaves_no_stopped_warm_parent(tmp_path: Path) -> None:
    code = (
        "import os, signal; from evolve.evaluation import launcher; launcher.END_CAP = 0.1\n"
        "from evolve.evaluation.isolation import warm_parents\n"
        "pid = warm_parents.get((), {'PYTHONPATH': os.environ.get('PYTHONPATH', '')}).pid\n"
        "os.kill(pid, signal.SIGSTOP); print(pid)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not alive(int(done.stdout))


def test_a_warm_parent_that_stops_without_a_word_is_replaced(
    make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = make_trial(HONEST, preload=("json", "colorsys"))
    assert run_trial(trial).status is Status.OK
    (stopped,) = (pid for pid in warm_parents.pids if b"colorsys" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(stopped, signal.SIGSTOP)
    monkeypatch.setattr(launcher, "FORK_CAP", 3.0)
    trials = [make_trial(HONEST, preload=("json", "colorsys")) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        assert [outcome.status for outcome in threads.map(run_trial, trials)] == [Status.OK] * 2
    assert not alive(stopped)


def test_a_warm_parent_that_another_thread_gave_up_has_died(tmp_path: Path) -> None:
    parent = WarmParent((), {"PYTHONPATH": os.environ.get("PYTHONPATH", "")})
    parent.close()
    output = os.open(os.devnull, os.O_WRONLY)
    with pytest.raises(ParentDied, match="its last words: it said nothing"):
        parent.launch(job(tmp_path), output, [])
    os.close(output)
    parent.close()
