"""Packing in the background: small, harmless, and never in the way."""

from __future__ import annotations

import fcntl
import logging
import os
import subprocess
from pathlib import Path

import pytest

from evolve.archive import Archive, maintenance, repository
from evolve.archive.maintenance import LOCK_FILE
from evolve.archive.packs import checkpoint_packs
from evolve.errors import UserError
from tests.archive.filling import contents, fsck, git, grow


def counts(path: Path) -> dict[str, int]:
    lines = git(path, "count-objects", "-v").splitlines()
    return {key: int(value) for key, value in (line.split(": ") for line in lines)}


def test_packing_leaves_small_packs_and_the_same_archive(archive: Archive) -> None:
    grow(archive, 60)
    before = contents(archive)
    checkpoints = counts(archive.path)
    archive.maintain(wait=True)
    packed = counts(archive.path)
    assert checkpoints["packs"] > 100 and packed["count"] == 0 and packed["packs"] <= 2
    assert packed["in-pack"] == checkpoints["in-pack"]
    assert packed["size-pack"] * 3 < checkpoints["size-pack"]
    assert not checkpoint_packs(archive.path)
    assert contents(archive) == before
    with Archive.open(archive.path) as again:
        assert contents(again) == before
    fsck(archive.path)


def test_genomes_are_stored_as_differences(archive: Archive) -> None:
    grow(archive, 40)
    archive.maintain(wait=True)
    blobs = [git(archive.path, "rev-parse", f"{i.commit}:train.py") for i in archive.individuals.values()]
    sizes = subprocess.run(
        ["git", "-C", str(archive.path), "cat-file", "--batch-check=%(objectsize:disk) %(deltabase)"],
        input="\n".join(blobs),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")[:-1]
    assert sum(line.split()[1] != "0" * 40 for line in sizes) >= 38


def test_packs_stay_few_over_many_packings(archive: Archive) -> None:
    for _ in range(8):
        grow(archive, 10)
        archive.maintain(wait=True)
    assert counts(archive.path)["packs"] <= 4
    fsck(archive.path)


def test_births_go_on_while_it_packs(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "PACK_AT", 60)  # again and again, overlapping with the births
    grow(archive, 150)
    archive.set_champion(archive.individuals[149])
    archive.maintain(wait=True)
    expected = contents(archive)
    assert counts(archive.path)["packs"] >= 1
    with Archive.open(archive.path) as again:
        assert contents(again) == expected
    fsck(archive.path)


def test_what_earlier_engines_and_users_left_is_packed_too(archive: Archive) -> None:
    grow(archive, 10)
    archive.close()
    git(archive.path, "hash-object", "-w", "HEAD")
    with Archive.open(archive.path, write=True) as again:
        again.maintain(wait=True)
        assert not checkpoint_packs(archive.path)
    assert counts(archive.path)["count"] == 0


def test_leftovers_of_a_killed_packing_are_removed(archive: Archive) -> None:
    left = archive.path / "objects" / "pack" / "tmp_pack_abcdef"
    left.write_bytes(b"half")
    lock = archive.path / "packed-refs.lock"
    lock.touch()
    Archive.open(archive.path).close()
    assert left.exists() and lock.exists()
    Archive.open(archive.path, write=True).close()
    assert not left.exists() and not lock.exists()


def test_an_engine_waits_for_the_packing_of_a_dead_one(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    held = os.open(archive.path / LOCK_FILE, os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    left_alone = archive.path / "packed-refs.lock"
    left_alone.touch()
    monkeypatch.setattr(maintenance, "ORPHAN_WAIT", 0.1)
    with pytest.raises(UserError, match="has been packing"):
        Archive.open(archive.path, write=True)
    assert left_alone.exists()
    Archive.open(archive.path).close()  # a reader does not wait
    os.close(held)
    Archive.open(archive.path, write=True).close()


def test_a_failure_is_logged_and_harms_nothing(archive: Archive, caplog: pytest.LogCaptureFixture) -> None:
    grow(archive, 3)
    missing = archive._store._unpacked
    missing.append(("0" * 40, ""))
    with caplog.at_level(logging.WARNING):
        archive.maintain(wait=True)
    assert "Packing" in caplog.text and "0" * 40 in caplog.text
    assert len(checkpoint_packs(archive.path)) > 3
    grow(archive, 3)
    archive.maintain(wait=True)
    assert counts(archive.path)["packs"] <= 2
    fsck(archive.path)
