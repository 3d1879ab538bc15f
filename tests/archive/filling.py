"""Offspring, outcomes and git for the tests of the archive."""

from __future__ import annotations

import subprocess
from pathlib import Path

from evolve.archive import Archive
from evolve.individual import Individual, Offspring, Outcome, Status

STATE = {"script": "train.py", "direction": "min"}


def git(path: Path, *arguments: str) -> str:
    """What git prints, run as a user would."""
    done = subprocess.run(["git", "-C", str(path), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def fsck(path: Path) -> None:
    """Assert that git finds nothing wrong, unreferenced objects aside."""
    done = subprocess.run(
        ["git", "-C", str(path), "fsck", "--full", "--strict", "--no-dangling"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def genome(number: int, lines: int = 40) -> str:
    return "".join(f"CONSTANT_{k} = {k * 37 % 101}\n" for k in range(lines)) + f"NUMBER = {number}\n"


def offspring(number: int, *parents: int, idea: str = "", body: str = "") -> Offspring:
    return Offspring(
        genome(number),
        parents,
        "catalogue" if parents else "seed",
        idea or f"Idea {number}",
        1 if parents else 0,
        model="a-model" if parents else None,
        cost={"tokens": 12.0} if parents else {},
        body=body,
    )


def outcome(score: float | None, replicate: int = 0, **more: object) -> Outcome:
    status = Status.CRASHED if score is None else Status.OK
    return Outcome(status, score, replicate=replicate, seed=1000 + replicate, **more)  # type: ignore[arg-type]


def grow(archive: Archive, births: int) -> list[Individual]:
    """A chain of individuals, every one evaluated."""
    grown = []
    for _ in range(births):
        number = len(archive.individuals)
        individual = archive.add(offspring(number, *([number - 1] if number else [])))
        archive.record(individual, outcome(2.0 - number / 1000))
        grown.append(individual)
    return grown


def contents(archive: Archive) -> dict[str, object]:
    """Everything that an archive says, for comparing two openings of it."""
    return {
        "individuals": [
            (i.id, i.parents, i.commit, i.operator, i.idea, i.generation, i.model, i.cost, i.outcomes)
            for i in archive.individuals.values()
        ],
        "fitness": [(i.fitness.count, i.fitness.values) for i in archive.individuals.values()],
        "order": [(individual.id, outcome) for individual, outcome in archive.in_order()],
        "parents": dict(archive.parents),
        "pending": [i.id for i in archive.pending()],
        "genomes": [i.genome for i in archive.individuals.values()],
        "curves": [archive.curves(i) for i in archive.individuals.values()],
        "state": archive.read_state(),
    }
