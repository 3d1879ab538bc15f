"""A disk that fills up during a search: a sentence, nothing lost, and the same command goes on afterwards."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from evolve.archive.repository import Archive
from tests.command import TOY, evolve

PLAN = ("--arena", TOY, "--out", "small/run", "--pop", 10, "--gens", 100, "--max-evals", 400)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 KB at tmp_path/small; skipped where this user may not mount one."""
    disk = tmp_path / "small"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def outcomes(run: Path) -> list[tuple[int, int]]:
    with Archive.open(run / "archive.git") as archive:
        return [(one.id, outcome.replicate) for one, outcome in archive.in_order()]


def test_a_full_disk_is_told_and_the_search_goes_on_when_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    full = evolve(*PLAN, cwd=tmp_path)
    assert full.returncode == 2
    assert "could not be written" in full.stderr and "same command" in full.stderr
    assert "Traceback" not in full.stderr
    before = outcomes(small_disk / "run")
    assert len(before) > 5 and len(set(before)) == len(before)
    printed = {int(line.split("#")[1].split()[0]) for line in full.stdout.splitlines() if line[:2].isdigit()}
    assert printed <= {id for id, _ in before}
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    more = evolve(*PLAN[:-1], len(before) + 10, cwd=tmp_path)
    assert more.returncode == 0, more.stderr
    after = outcomes(small_disk / "run")
    assert after[: len(before)] == before
    assert len(after) == len(before) + 10 == len(set(after))
    fsck = ["git", "-C", str(small_disk / "run" / "archive.git"), "fsck"]
    assert subprocess.run(fsck, capture_output=True, check=False).returncode == 0
