"""Ancestors and merge bases, compared with git's answers on random histories."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from evolve.variation.ancestry import ancestors, merge_bases


def git(repository: Path, *arguments: str, stdin: str = "") -> str:
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True).stdout


def random_history(rng: random.Random, size: int) -> dict[int, tuple[int, ...]]:
    """One or two roots, then children of one or two individuals, mostly young ones."""
    parents: dict[int, tuple[int, ...]] = {0: ()}
    for id in range(1, size):
        count = 0 if id == 1 and rng.random() < 0.2 else min(id, rng.choice((1, 1, 2, 2, 2)))
        young = range(max(0, id - 5), id) if rng.random() < 0.8 else range(id)
        parents[id] = tuple(rng.sample(young, min(count, len(young))))
    return parents


def write(repository: Path, parents: dict[int, tuple[int, ...]]) -> None:
    """A commit for each individual, under refs/heads/<id>."""
    stream = []
    for id, (first, *rest) in ((id, (*mothers, None)) for id, mothers in parents.items()):
        stream.append(f"commit refs/heads/{id}\nmark :{id + 1}\ncommitter a <a@b> {1000 + id} +0000\ndata 1\nx\n")
        links = [mother for mother in (first, *rest) if mother is not None]
        stream += [f"{'merge' if n else 'from'} :{mother + 1}\n" for n, mother in enumerate(links)]
        stream.append("\n")
    git(repository, "fast-import", "--quiet", stdin="".join(stream))


@pytest.mark.parametrize("seed", range(6))
def test_merge_bases_are_those_of_git(tmp_path, seed) -> None:
    rng = random.Random(seed)
    parents = random_history(rng, 24)
    git(tmp_path, "init", "-q", "--bare")
    write(tmp_path, parents)
    names = dict(
        line.split() for line in git(tmp_path, "for-each-ref", "--format=%(objectname) %(refname:short)").splitlines()
    )
    several = 0
    for a, b in [rng.sample(range(24), 2) for _ in range(40)]:
        shown = subprocess.run(
            ["git", "-C", str(tmp_path), "merge-base", "--all", str(a), str(b)],
            capture_output=True,
            text=True,
        ).stdout.split()
        expected = sorted((int(names[name]) for name in shown), reverse=True)
        assert merge_bases(parents, a, b) == expected
        several += len(expected) > 1
    assert several, "the histories must hold criss-crosses to be a test"


def test_an_individual_and_itself() -> None:
    parents = {0: (), 1: (0,)}
    assert merge_bases(parents, 1, 1) == [1]
    assert ancestors(parents, 1) == {0}
    assert ancestors(parents, 0) == set()


def test_unrelated_individuals_have_no_base() -> None:
    assert merge_bases({0: (), 1: (), 2: (1,)}, 0, 2) == []


def test_the_walk_ends_at_the_base() -> None:
    class Watched(dict[int, tuple[int, ...]]):
        asked = 0

        def __getitem__(self, id: int) -> tuple[int, ...]:
            Watched.asked += 1
            return super().__getitem__(id)

    parents = Watched({id: (id - 1,) if id else () for id in range(10_000)})
    parents[10_000] = (9_990,)
    assert merge_bases(parents, 10_000, 9_999) == [9_990]
    assert Watched.asked < 20
