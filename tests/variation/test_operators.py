"""Catalogue mutation and crossover as operators; crossover gives the tree of a merge by hand."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evolve.individual import Individual, MinimisedFitness, Offspring
from evolve.variation.ancestry import merge_bases
from evolve.variation.operators import Inapplicable, Reason, catalogue_mutation, crossover
from tests.variation.archives import SCRIPT, Archive
from tests.variation.programs import any_edits, programs, render

SEED = "LR = 0.02  # range: 0.01..0.1 log\nDEPTH = 4\nWIDTH = 64\n"


@pytest.fixture
def archive(tmp_path) -> Archive:
    archive = Archive(tmp_path / "archive")
    archive.add(SEED, operator="seed")
    return archive


def cross(archive: Archive, fitter: int, other: int) -> Offspring:
    return crossover(
        archive.individuals[fitter],
        archive.individuals[other],
        parents=archive.parents,
        genome_of=archive.genome_of,
        repository=lambda: archive.path,
        script=SCRIPT,
    )


def refused(archive: Archive, fitter: int, other: int) -> Reason:
    with pytest.raises(Inapplicable) as caught:
        cross(archive, fitter, other)
    return caught.value.reason


def archived(archive: Archive, offspring: Offspring) -> str:
    """The tree that the offspring is archived as."""
    individual = archive.add(offspring.genome, *offspring.parents, idea=offspring.idea, operator=offspring.operator)
    assert individual.generation == offspring.generation
    return archive.tree(str(individual.id))


def test_crossover_has_the_tree_of_a_merge_by_hand(archive) -> None:
    archive.add(SEED.replace("0.02", "0.03"), 0)
    archive.add(SEED.replace("0.02", "0.04").replace("DEPTH = 4", "DEPTH = 6"), 0)
    child = cross(archive, 1, 2)
    assert child.parents == (1, 2)
    assert (child.operator, child.generation) == ("crossover", 2)
    assert child.body == "Conflicts:\n- LR: the fitter parent"
    assert archive.merge_by_hand(1, 2) == archived(archive, child)


def test_so_has_that_of_a_criss_cross_pair(archive) -> None:
    archive.add(SEED.replace("0.02", "0.03").replace("64", "96"), 0)
    archive.add(SEED.replace("0.02", "0.04").replace("DEPTH = 4", "DEPTH = 6"), 0)
    mirrored = cross(archive, 2, 1)
    archived(archive, cross(archive, 1, 2))
    archived(archive, mirrored)
    archive.add(archive.genome_of(3) + "HEADS = 2\n", 3)
    archive.add(archive.genome_of(4) + "NORM = 1\n", 4)
    assert merge_bases(archive.parents, 5, 6) == [2, 1]
    child = cross(archive, 5, 6)
    assert child.genome == archive.genome_of(3) + "HEADS = 2\nNORM = 1\n"
    assert child.parents == (5, 6)
    assert archive.merge_by_hand(5, 6) == archived(archive, child)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(data=st.data())
def test_so_have_those_of_generated_genomes(tmp_path_factory, data) -> None:
    program = data.draw(programs())
    archive = Archive(tmp_path_factory.mktemp("generated") / "archive")
    archive.add(render(program))
    for _ in range(2):
        archive.add(render(program, data.draw(any_edits(program))), 0)
    try:
        child = cross(archive, 1, 2)
    except Inapplicable as refusal:
        assert refusal.reason is Reason.NO_OP
        return
    assert archive.merge_by_hand(1, 2) == archived(archive, child)


def test_pairs_that_give_nothing_new_are_refused(archive) -> None:
    archive.add(SEED.replace("0.02", "0.03"), 0)
    archive.add(SEED.replace("0.02", "0.04"), 0)
    archive.add(SEED.replace("0.02", "0.03").replace("64", "96"), 1)
    archive.add(SEED)
    assert refused(archive, 3, 1) is Reason.ANCESTOR
    assert refused(archive, 0, 3) is Reason.ANCESTOR
    assert refused(archive, 1, 1) is Reason.ANCESTOR
    assert refused(archive, 1, 2) is Reason.NO_OP
    assert refused(archive, 1, 4) is Reason.UNRELATED


def test_a_parent_that_is_not_python_is_refused(archive) -> None:
    archive.add(SEED.replace("0.02", "("), 0)
    archive.add(SEED.replace("64", "96"), 0)
    assert refused(archive, 2, 1) is Reason.UNPARSABLE


def test_conflicts_may_be_resolved_by_the_caller(archive) -> None:
    ours = archive.add(SEED.replace("0.02", "0.03"), 0)
    theirs = archive.add(SEED.replace("0.02", "0.04"), 0)
    child = crossover(
        ours,
        theirs,
        parents=archive.parents,
        genome_of=archive.genome_of,
        repository=lambda: archive.path,
        script=SCRIPT,
        resolve=lambda conflict: conflict.theirs.replace("0.04", "0.035"),
    )
    assert child.genome == SEED.replace("0.02", "0.035")
    assert child.body == "Conflicts:\n- LR: resolved"


def individual(genome: str) -> Individual:
    return Individual(
        7,
        (),
        operator="seed",
        idea="",
        generation=3,
        commit="c",
        read_genome={"c": genome}.__getitem__,
        fitness=MinimisedFitness(),
    )


def test_catalogue_mutation_is_an_offspring_of_one_parent() -> None:
    child = catalogue_mutation(individual("A = 1  # range: 1..2\r\nB = 3"), random.Random(0))
    assert child == Offspring("A = 2  # range: 1..2\nB = 3\n", (7,), "catalogue", "Set A to 2 (was 1)", 4)


@pytest.mark.parametrize(
    ("genome", "reason"),
    [
        ("A = 1\n", Reason.NO_CONSTANTS),
        ("A = (", Reason.UNPARSABLE),
        ("A = 9  # range: 1..2\n", Reason.ANNOTATION),
    ],
)
def test_catalogue_mutation_says_why_it_cannot(genome, reason) -> None:
    with pytest.raises(Inapplicable) as caught:
        catalogue_mutation(individual(genome), random.Random(0))
    assert caught.value.reason is reason
