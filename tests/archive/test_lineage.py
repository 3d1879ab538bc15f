"""What a user may call an individual, and descent along first parents."""

from __future__ import annotations

import pytest

from evolve.archive import Archive
from evolve.errors import UserError
from tests.archive.filling import grow, offspring


@pytest.fixture
def grown(archive: Archive) -> Archive:
    individuals = grow(archive, 3)
    archive.add(offspring(3, 0, 2))
    archive.set_elite(individuals[::-1])
    archive.set_champion(individuals[2])
    return archive


@pytest.mark.parametrize(("name", "id"), [("0", 0), ("3", 3), ("champion", 2), ("elite/1", 1), ("lineage/2", 2)])
def test_ids_and_branches(grown: Archive, name: str, id: int) -> None:
    assert grown.resolve(name).id == id


def test_commits_and_their_beginnings(grown: Archive) -> None:
    for individual in grown.individuals.values():
        assert grown.resolve(individual.commit) is individual
        assert grown.resolve(individual.commit[:12]) is individual


def test_a_beginning_of_two_commits_names_both(grown: Archive) -> None:
    for individual in grown.individuals.values():
        individual.commit = "abcd" + individual.commit
    with pytest.raises(UserError, match="any of the individuals 0, 1, 2, 3"):
        grown.resolve("abcd")


@pytest.mark.parametrize("name", ["4", "-1", "", "elite/9", "abc", "²", "refs/heads/champion", "zzzzzz"])
def test_anything_else_is_told_what_there_is(grown: Archive, name: str) -> None:
    with pytest.raises(UserError, match="ids 0 to 3; branches champion, elite/0, elite/1, elite/2; or"):
        grown.resolve(name)


def test_an_empty_archive_says_so(archive: Archive) -> None:
    with pytest.raises(UserError, match="no individuals yet"):
        archive.resolve("0")


def test_lineage_goes_by_first_parents_from_the_seed(grown: Archive) -> None:
    assert [i.id for i in grown.lineage(grown.individuals[2])] == [0, 1, 2]
    assert [i.id for i in grown.lineage(grown.individuals[3])] == [0, 3]
    assert dict(grown.parents) == {0: (), 1: (0,), 2: (1,), 3: (0, 2)}
