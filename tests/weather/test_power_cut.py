"""Disks that lose what they were told to flush: the last checkpoint is made again, and said so."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from evolve.archive import Archive, journal, refs
from evolve.archive.packs import checkpoint_packs
from tests.archive.filling import STATE, contents, fsck, grow, outcome


def unclean(path: Path, births: int = 3) -> dict[str, object]:
    """An archive as a running engine has it: two checkpoints, the last of which has a birth and an outcome."""
    archive = Archive.create(path, STATE)
    grow(archive, births - 1)
    archive.set_champion(archive.individuals[0])
    with archive.gathering():
        grow(archive, 1)
        archive.set_champion(archive.individuals[births - 1])
    expected = contents(archive)
    archive._store._git.close()  # the process is gone; its journal is not
    return expected


def last_writes(path: Path) -> list[Path]:
    pack = checkpoint_packs(path)[-1]
    return [pack, pack.with_suffix(".idx"), path / refs.PACKED]


def damage(file: Path, how: str, rng: random.Random) -> None:
    data = file.read_bytes()
    file.unlink()
    if how != "absent":
        file.write_bytes(data[: 0 if how == "empty" else rng.randrange(len(data))])


@pytest.mark.parametrize("how", ["truncated", "empty", "absent"])
@pytest.mark.parametrize("which", [(0,), (1,), (2,), (0, 1, 2)])
def test_the_last_checkpoint_is_made_again(tmp_path: Path, how: str, which: tuple[int, ...]) -> None:
    path = tmp_path / "a.git"
    expected = unclean(path)
    rng = random.Random(f"{how} {which}")
    files = last_writes(path)
    for number in which:
        damage(files[number], how, rng)
    with Archive.open(path, write=True) as archive:
        assert any("made again from the journal" in sentence for sentence in archive.recovered)
        assert contents(archive) == expected
        assert archive.resolve("champion").id == 2
        grow(archive, 1)
    fsck(path)
    with Archive.open(path, write=True) as archive:
        assert archive.recovered == []
        assert len(archive.individuals) == 4


def test_a_journal_that_lost_its_end_loses_its_end_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.git"
    unclean(path)
    archive = Archive.open(path, write=True)
    one = archive.individuals[0]
    with pytest.raises(KeyboardInterrupt), archive.gathering():
        archive.record(one, outcome(1.5, replicate=1))
        size = (path / journal.JOURNAL).stat().st_size
        archive.record(one, outcome(1.4, replicate=2))
        shutil.copytree(path, tmp_path / "cut.git")
        raise KeyboardInterrupt
    cut = tmp_path / "cut.git"
    data = (cut / journal.JOURNAL).read_bytes()
    (cut / journal.JOURNAL).write_bytes(data[: size + 20])
    with Archive.open(cut) as reader:
        assert reader.individuals[0].scores == [2.0, 1.5]
    with Archive.open(cut, write=True) as again:
        assert again.individuals[0].scores == [2.0, 1.5]
        assert any("1 writes were taken from the journal" in sentence for sentence in again.recovered)
        assert any("20 bytes" in sentence for sentence in again.recovered)
        again.record(again.individuals[0], outcome(1.3, replicate=2))
    fsck(cut)
    with Archive.open(cut) as reader:
        assert reader.individuals[0].scores == [2.0, 1.5, 1.3]


def test_empty_files_of_somebody_elses_git_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.git"
    expected = unclean(path)
    reference, object_file = path / "refs" / "heads" / "mine", path / "objects" / "ab" / ("0" * 38)
    for file in (reference, object_file):
        file.parent.mkdir(exist_ok=True)
        file.touch()
    with Archive.open(path, write=True) as archive:
        said = " ".join(archive.recovered)
        assert "refs/heads/mine" in said and "objects/ab" in said
        assert contents(archive) == expected
    fsck(path)
