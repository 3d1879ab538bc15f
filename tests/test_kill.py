"""A search that is killed at any instant goes on as if it had only been slow."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import psutil

from evolve.archive.repository import Archive
from tests.command import TOY, evolve, start

PLAN = ("--arena", TOY, "--out", "run", "--pop", 10, "--gens", 100, "--time-box", 0.2)
KILLS = 10


def told(folder: Path) -> Counter[tuple[int, int]]:
    """How often each (individual, replicate) has an outcome in the archive."""
    with Archive.open(folder / "run" / "archive.git") as archive:
        return Counter((one.id, outcome.replicate) for one, outcome in archive.in_order())


def trial_processes(folder: Path) -> list[int]:
    """Processes that work somewhere below the run's folder."""
    found = []
    for process in psutil.process_iter(["cwd"]):
        if str(process.info["cwd"] or "").startswith(str(folder)):
            found.append(process.pid)
    return found


def test_ten_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    rng = random.Random(7)
    before: Counter[tuple[int, int]] = Counter()
    for _ in range(KILLS):
        process = start(*PLAN, cwd=tmp_path)
        assert process.stdout is not None
        printed = []
        for line in process.stdout:  # at least one outcome a life, so that there is something to lose
            if line[:2].isdigit():
                printed.append(int(line.split("#")[1].split()[0]))
                break
        time.sleep(rng.uniform(0.0, 0.6))
        process.send_signal(signal.SIGKILL)
        printed += [int(line.split("#")[1].split()[0]) for line in process.stdout if line[:2].isdigit()]
        process.wait()
        process.stdout.close()
        after = told(tmp_path)
        assert set(after.values()) == {1}
        assert before.keys() <= after.keys()
        assert {(id, 0) for id in printed} <= after.keys()
        before = after
    deadline = time.monotonic() + 10
    while trial_processes(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert trial_processes(tmp_path) == []
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        in_flight = {one.id for one in archive.pending()}
        evaluated = len(archive.in_order())
    goal = evaluated + len(in_flight) + 2
    done = evolve(*PLAN, "--max-evals", goal, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    final = told(tmp_path)
    assert set(final.values()) == {1}
    assert {(id, 0) for id in in_flight} <= final.keys()
    assert len(final) == goal
    fsck = subprocess.run(
        ["git", "-C", str(tmp_path / "run" / "archive.git"), "fsck"], capture_output=True, check=False
    )
    assert fsck.returncode == 0, fsck.stderr
