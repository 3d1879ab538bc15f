"""An engine that is killed, or loses its power, before any one of its writes to the archive."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from evolve.archive import Archive
from tests.archive.filling import STATE, contents, fsck, grow, offspring, outcome
from tests.weather.disk import Disk

STRIDE = 7


def grow_archive(path: Path) -> Path:
    with Archive.create(path, STATE) as archive:
        grow(archive, 2)
        archive.set_elite(list(archive.individuals.values()))
    return path


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return grow_archive(tmp_path_factory.mktemp("grown") / "a.git")


def life(archive: Archive) -> Iterator[str]:
    """What an engine does, a step at a time; two checkpoints fall into it."""
    with archive.gathering():
        for number in (2, 3):
            one = archive.add(offspring(number, number - 1))
            yield f"born {number}"
            archive.record(one, outcome(1.5, curve=[(1.0, 2.0)], tail=f"of {number}"))
            yield f"recorded {number}"
            archive.set_elite([one, *archive.elite()][:2])
            archive.set_champion(one)
            yield f"best {number}"
            archive.readable()
        archive.write_state({**STATE, "births": 3})
        yield "state"


def live_and_die(path: Path, end_at: int, *, power: bool) -> list[str]:
    """The steps that returned before an engine, in a process of its own, was ended at the given operation."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        disk = Disk(path, power=power)
        say = os.write
        try:
            archive = Archive.open(path, write=True)
            disk.watch(end_at)
            for step in life(archive):
                say(writing, f"{step}\n".encode())
            archive.close()
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as lines:
        said = lines.read().splitlines()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return said


def check(path: Path, said: list[str], *, power: bool) -> None:
    """Everything that returned is there, to a reader and to the next engine, and at most one step more."""
    if not power:
        with Archive.open(path) as reader:
            seen = contents(reader)
    with Archive.open(path, write=True) as archive:
        found = contents(archive)
        assert power or seen == found
        births = sum(step.startswith("born") for step in said)
        assert births <= len(archive.individuals) - 2 <= births + 1
        outcomes = [(one.id, o.score, o.tail) for one, o in archive.in_order()]
        recorded = [2 + k for k in range(sum(step.startswith("recorded") for step in said))]
        assert [id for id, _, _ in outcomes][: 2 + len(recorded)] == [0, 1, *recorded]
        assert len(outcomes) <= 2 + len(recorded) + 1
        for id in {id for id, _, _ in outcomes} - {0, 1}:
            assert archive.curves(archive.individuals[id])[0]["tail"] == f"of {id}"
        best = [int(step.split()[1]) for step in said if step.startswith("best")]
        assert not best or archive.resolve("champion").id >= best[-1] == archive.elite()[0].id or best[-1] == 2
        assert "state" not in said or archive.read_state() == {**STATE, "births": 3}
        # Work goes on.
        for one in archive.pending():
            archive.record(one, outcome(1.25))
        archive.add(offspring(9, 0))
        expected = contents(archive)
    fsck(path)
    with Archive.open(path) as again:
        assert contents(again) == expected


def operations(path: Path) -> int:
    archive = Archive.open(path, write=True)
    disk = Disk(path, power=False)
    disk.watch(None)
    try:
        for _ in life(archive):
            pass
        archive.close()
    finally:
        disk.release()
    return disk.operations


@pytest.mark.parametrize(("first", "power"), [(1, False), (4, True)])
def test_ended_before_any_write(grown: Path, tmp_path: Path, first: int, power: bool) -> None:
    """Every seventh here, for its time; `python -m benchmarks.soak` meets all."""
    shutil.copytree(grown, tmp_path / "count.git")
    count = operations(tmp_path / "count.git")
    assert count > 40
    for end_at in range(first, count + 1, STRIDE):
        path = tmp_path / f"{end_at}.git"
        shutil.copytree(grown, path)
        check(path, live_and_die(path, end_at, power=power), power=power)
