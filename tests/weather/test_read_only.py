"""An archive on a disk that nobody may write to: it can be looked at, and an engine says what is wrong."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import TOY, evolve
from tests.tmpfs import mounted
from tests.weather.aftermath import goes_on, sound
from tests.weather.orphans import Nursery

PLAN = ("--arena", TOY, "--out", "disk/run", "--pop", 4, "--gens", 20)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own at tmp_path/disk."""
    with mounted(tmp_path / "disk", "64m", lazy=True) as path:
        yield path


def test_a_read_only_run_is_shown_and_not_searched(disk: Path, tmp_path: Path, nursery: Nursery) -> None:
    run = disk / "run"
    assert evolve(*PLAN, "--max-evals", 5, cwd=tmp_path).returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    before = evolve("status", "disk/run", cwd=tmp_path)
    assert before.returncode == 0 and "arena toy" in before.stdout
    for command in (PLAN, ("confirm", "disk/run")):
        refused = evolve(*command, cwd=tmp_path)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert "Read-only file system" in refused.stderr and "is safe" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert len(sound(run, nursery)) == 5
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    goes_on(PLAN, tmp_path, run, nursery)
