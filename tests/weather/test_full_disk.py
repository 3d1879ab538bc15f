"""A disk that fills up during a search: a sentence, nothing lost, and the same command goes on afterwards."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import TOY, evolve
from tests.tmpfs import mounted
from tests.weather.aftermath import goes_on, sound
from tests.weather.orphans import Nursery

PLAN = ("--arena", TOY, "--out", "small/run", "--pop", 10, "--gens", 100)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 KB at tmp_path/small."""
    with mounted(tmp_path / "small", "400k", lazy=True) as disk:
        yield disk


def test_a_full_disk_is_told_and_the_search_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path, nursery: Nursery
) -> None:
    run = small_disk / "run"
    full = evolve(*PLAN, "--max-evals", 400, cwd=tmp_path)
    assert full.returncode == 2
    assert "could not be written" in full.stderr and "same command" in full.stderr
    assert "Traceback" not in full.stderr
    assert len(sound(run, nursery, full.stdout)) > 5
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    goes_on(PLAN, tmp_path, run, nursery, full.stdout)
