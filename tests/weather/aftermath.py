"""What must hold after each fault: nothing runs, the archive is whole, nothing is lost or doubled, work goes on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from evolve.archive import Archive
from tests.archive.filling import fsck
from tests.command import evolve
from tests.weather.orphans import Nursery

PATIENCE = 60.0  # seconds that what an engine left has to end

Told = tuple[int, int, float | None]  # an outcome: individual, replicate, score


def told(lines: Iterable[str]) -> list[int]:
    """The individuals whose outcomes an engine printed, in order."""
    return [int(line.split("#")[1].split()[0]) for line in lines if line[:2].isdigit() and "#" in line]


def outcomes(run: Path) -> list[Told]:
    """All outcomes in an archive, in order of arrival."""
    with Archive.open(run / "archive.git") as archive:
        return [(one.id, outcome.replicate, outcome.score) for one, outcome in archive.in_order()]


def sound(run: Path, nursery: Nursery, said: str = "", before: Iterable[Told] = ()) -> list[Told]:
    """Assert all but that work goes on, when engines that printed `said` have ended; `before` was there already.

    Gives the outcomes that are there now.
    """
    assert nursery.orphans(PATIENCE) == []
    now = outcomes(run)
    assert len({(id, replicate) for id, replicate, _ in now}) == len(now)
    assert now[: len(list(before))] == list(before)
    assert set(told(said.splitlines())) <= {id for id, _, _ in now}
    fsck(run / "archive.git")
    return now


def goes_on(plan: tuple[object, ...], cwd: Path, run: Path, nursery: Nursery, said: str = "") -> str:
    """Assert `sound`, and that the same plan then adds an evaluation to what is there; gives what is printed."""
    before = sound(run, nursery, said)
    more = evolve(*plan, "--max-evals", len(before) + 1, cwd=cwd)
    assert more.returncode == 0, more.stdout + more.stderr
    assert len(sound(run, nursery, more.stdout, before)) == len(before) + 1
    return more.stdout
