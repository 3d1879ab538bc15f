"""A disk without space: told as ArchiveWriteError, nothing lost, and work goes on once there is space."""

from __future__ import annotations

import errno
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evolve.archive import Archive, ArchiveWriteError
from evolve.individual import Offspring
from tests.archive.filling import STATE, contents, fsck, outcome
from tests.tmpfs import mounted


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "2m") as disk:
        yield disk


def test_a_checkpoint_that_cannot_be_made_leaves_all_as_before(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While outcomes are gathered, too: what was written before waits, what was being written is not there."""
    monkeypatch.setattr("evolve.archive.store.GATHERED", 100_000)
    with Archive.create(small_disk / "archive.git", STATE) as archive, archive.gathering():
        for number in range(8):
            archive.add(noise(number))
        ballast = small_disk / "ballast"
        room = shutil.disk_usage(small_disk).free
        ballast.write_bytes(bytes(room - 40_000))  # for the journal, but not for a pack
        fails_until_freed(lambda: archive.add(noise(8)), ballast, archive)
        assert len(archive.individuals) == 9


def noise(number: int) -> Offspring:
    """An offspring that does not compress."""
    return Offspring(random.Random(number).randbytes(6000).hex(), (), "seed", f"Noise {number}", 0)


def fails_until_freed(call: Callable[[], object], ballast: Path, archive: Archive) -> None:
    """Repeat `call` on a full disk, then with space again; the archive says the same in between."""
    before = contents(archive)
    for _ in range(3):
        with pytest.raises(ArchiveWriteError) as told:
            call()
        assert told.value.errno == errno.ENOSPC
        assert "could not be written" in str(told.value)
    assert contents(archive) == before
    with Archive.open(archive.path) as reader:
        assert contents(reader) == before
    ballast.unlink()
    call()


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC


def test_every_write_fails_cleanly_and_can_be_repeated(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with Archive.create(small_disk / "a.git", STATE) as archive:
        one = archive.add(noise(0))
        archive.record(one, outcome(2.0, tail="first"))
        calls: list[Callable[[], object]] = [
            lambda: archive.add(noise(1)),
            lambda: archive.record(one, outcome(1.5, replicate=1, curve=[(1.0, 2.0)], tail="second")),
            lambda: archive.set_elite([one]),
            lambda: archive.set_champion(one),
            lambda: archive.write_state({**STATE, "births": 1}),
            lambda: archive.note_exchange(one, {"time": 1.0, "reply": "x" * 9000}),
        ]
        for call in calls:
            fill(ballast)
            fails_until_freed(call, ballast, archive)
        assert len(archive.individuals) == 2
        assert one.scores == [2.0, 1.5]
        assert [curve["tail"] for curve in archive.curves(one)] == ["first", "second"]
        assert [exchange["time"] for _, exchange in archive.exchanges()] == [1.0]
        expected = contents(archive)
        fill(ballast)
        archive.maintain(wait=True)  # fails, and says so in the log
        ballast.unlink()
        archive.maintain(wait=True)
        with Archive.open(archive.path) as again:
            assert contents(again) == expected
        fsck(archive.path)


def test_space_that_runs_out_by_and_by(small_disk: Path) -> None:
    """The failing write is whichever comes first, at any point of a birth or a record."""
    with Archive.create(small_disk / "a.git", STATE) as archive:
        with pytest.raises(ArchiveWriteError):
            for number in range(1000):
                archive.record(archive.add(noise(number)), outcome(1.0, tail="x" * (number * 37 % 500)))
        expected = contents(archive)
        assert len(archive.individuals) > 20
        with Archive.open(archive.path) as reader:
            assert contents(reader) == expected


def test_a_limit_on_file_size_is_a_write_error_too(tmp_path: Path) -> None:
    script = f"""
import resource
from pathlib import Path
from evolve.archive import Archive, ArchiveWriteError
from tests.archive.filling import STATE, grow
from tests.archive.test_full_disk import noise
archive = Archive.create(Path({str(tmp_path / "a.git")!r}), STATE)
grow(archive, 3)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
try:
    archive.add(noise(3))
except ArchiveWriteError as error:
    assert "File too large" in str(error), error
else:
    raise SystemExit("no error")
assert len(archive.individuals) == 3
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
archive.add(noise(3))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Archive.open(tmp_path / "a.git") as archive:
        assert archive.individuals[3].genome == noise(3).genome
    fsck(tmp_path / "a.git")
    assert not list((tmp_path / "a.git" / "objects").rglob("tmp_*"))
