"""An archive whose writer is killed at any instant opens, with everything that was recorded, once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from evolve.archive import Archive
from tests.archive.filling import STATE, fsck, genome

# Packs, moves branches and writes state all the time, so that a kill meets each of them. What it prints has
# returned; the number of a birth or record that was under way at the kill may be there or not.
WRITER = """
import sys
from pathlib import Path
from evolve.archive import Archive, repository
from tests.archive.filling import STATE, offspring, outcome
repository.PACK_AT = 50
archive = Archive.open(Path(sys.argv[1]), write=True)
print("opened", flush=True)
with archive.gathering():
    while True:
        for individual in archive.pending():
            archive.record(individual, outcome(1.5 + individual.id, curve=[(1.0, 2.0)], tail=f"of {individual.id}"))
            print("recorded", individual.id, flush=True)
        number = len(archive.individuals)
        archive.add(offspring(number, *([number - 1] if number else [])))
        print("born", number, flush=True)
        latest = list(archive.individuals.values())[-1 - number % 4:]
        archive.set_elite(latest)
        archive.set_champion(latest[-1])
        archive.write_state({**STATE, "births": number})
        if number % 7 == 0:
            archive.readable()
"""
KILLS = 8


def test_killed_at_random_instants(tmp_path: Path) -> None:
    rng = random.Random(1)
    path = tmp_path / "a.git"
    Archive.create(path, STATE).close()
    born: set[int] = set()
    recorded: set[int] = set()
    for _ in range(KILLS):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "opened\n"
            time.sleep(rng.uniform(0.0, 0.3))
            writer.send_signal(signal.SIGKILL)
            for line in writer.stdout:
                if line.endswith("\n"):
                    kind, _, number = line.partition(" ")
                    (born if kind == "born" else recorded).add(int(number))
        with Archive.open(path, write=True) as archive:
            assert born <= archive.individuals.keys() and len(archive.individuals) <= len(born) + 1
            for individual in archive.individuals.values():
                assert [o.score for o in individual.outcomes] in ([], [1.5 + individual.id])
            outcomes = {individual.id for individual, _ in archive.in_order()}
            assert recorded <= outcomes and len(outcomes - recorded) <= 1
            for id in outcomes:
                (curve,) = archive.curves(archive.individuals[id])
                assert (curve["curve"], curve["tail"]) == ([(1.0, 2.0)], f"of {id}")
            born, recorded = set(archive.individuals), outcomes
        assert not list(path.glob("refs/**/*.lock"))
    assert len(recorded) > 20
    with Archive.open(path, write=True) as archive:
        archive.maintain(wait=True)
        assert [i.genome for i in archive.individuals.values()] == [genome(k) for k in sorted(born)]
        assert archive.read_state()["births"] >= len(born) - 2
    fsck(path)


def test_a_kill_while_it_is_created_leaves_nothing_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.git"
    script = f"""
import os, signal
from pathlib import Path
from evolve.archive import Archive, state
from tests.archive.filling import STATE
state.changes = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
Archive.create(Path({str(path)!r}), STATE)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
    Archive.create(path, STATE).close()
