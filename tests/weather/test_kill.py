"""A search that is killed at any instant goes on as if it had only been slow."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

from evolve.archive import Archive
from tests.command import TOY, evolve, start
from tests.weather.aftermath import Told, sound
from tests.weather.orphans import Nursery

PLAN = ("--arena", TOY, "--out", "run", "--pop", 10, "--gens", 100, "--time-box", 0.2)
KILLS = 10


def test_ten_kills_lose_nothing_and_double_nothing(tmp_path: Path, nursery: Nursery) -> None:
    run = tmp_path / "run"
    rng = random.Random(7)
    before: list[Told] = []
    for _ in range(KILLS):
        process = start(*PLAN, cwd=tmp_path)
        assert process.stdout is not None
        said = ""
        for line in process.stdout:  # at least one outcome a life, so that there is something to lose
            said += line
            if line[:2].isdigit():
                break
        time.sleep(rng.uniform(0.0, 0.6))
        process.send_signal(signal.SIGKILL)
        said += process.communicate()[0]
        before = sound(run, nursery, said, before)
    with Archive.open(run / "archive.git") as archive:
        in_flight = {one.id for one in archive.pending()}
    goal = len(before) + len(in_flight) + 2
    done = evolve(*PLAN, "--max-evals", goal, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    final = sound(run, nursery, done.stdout, before)
    assert len(final) == goal and in_flight <= {id for id, _, _ in final}
