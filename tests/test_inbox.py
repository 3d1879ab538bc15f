"""The inbox beside a real archive: what goes in comes out, once, in order, whatever its texts are."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve import arena as arenas
from evolve.engine import Evolution
from evolve.errors import UserError
from evolve.inbox import Inbox
from evolve.outside import INTENTS, ask
from evolve.rundir import RunDirectory
from evolve.tickets import Tickets, new_id
from evolve.toolbox import make_toolbox
from evolve.trials import Data, TrialMaker
from tests.stub import TOY, evolve, open_archive

TOY_ARENA = arenas.load(str(TOY))
SEED = TOY_ARENA.seed_genome


@pytest.fixture(scope="module")
def evolution(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evolution]:
    folder = tmp_path_factory.mktemp("inbox")
    archive = open_archive(folder / "archive.git", TOY_ARENA)
    maker = TrialMaker(TOY_ARENA, Data("toy", "toy", ""), RunDirectory(folder))
    yield Evolution(archive, make_toolbox(archive), maker, pop=2, gens=10, seed=1)
    archive.close()


ANY_TEXT = st.text(st.characters(codec=None), max_size=300)  # lone surrogates and control characters among them


@settings(deadline=None, derandomize=True, max_examples=30)
@given(idea=ANY_TEXT, body=ANY_TEXT, comment=st.text(st.characters(codec="utf-8", exclude_categories=["C"])))
def test_what_is_put_in_is_archived_once(evolution: Evolution, idea: str, body: str, comment: str) -> None:
    genome = f"{SEED}NOTE = {comment!r}, {len(evolution.archive.individuals)}\n"
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory(Path(folder))
        tickets, inbox = Tickets(directory.tickets), Inbox(directory)
        seed = evolution.seed_individual
        ticket = tickets.issue(new_id(), seed.id, seed.commit, "tune", 1.0)
        inbox.put(ticket, genome, idea, body)
        assert inbox.holds(ticket)
        offspring = inbox.take(evolution)
        assert offspring is not None and offspring == inbox.take(evolution)  # not archived: still there
        assert (offspring.genome, offspring.parents, offspring.operator) == (genome, (0,), "outside")
        individual = evolution.archive.add(offspring)
        inbox.born(individual)
        assert inbox.take(evolution) is None and not inbox.holds(ticket)
        assert tickets.find(ticket.id).offspring == individual.id


def test_the_oldest_entry_goes_first(evolution: Evolution, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    tickets, inbox, seed = Tickets(directory.tickets), Inbox(directory), evolution.seed_individual
    issued = [tickets.issue(new_id(), seed.id, seed.commit, "tune", 1.0) for _ in range(5)]
    for age, ticket in enumerate(issued):
        inbox.put(ticket, f"{SEED}AGE = {age}\n", f"Age {age}", "")
        os.utime(directory.inbox / f"{ticket.id}.json", (1000.0 - age, 1000.0 - age))
    taken = []
    while offspring := inbox.take(evolution):
        taken.append(offspring.idea)
        inbox.born(evolution.archive.add(offspring))
    assert taken == [f"Age {age}" for age in reversed(range(5))]


def test_without_an_inbox_there_is_nothing_to_take(evolution: Evolution, tmp_path: Path) -> None:
    assert Inbox(RunDirectory(tmp_path / "none")).take(evolution) is None


def test_parents_are_handed_out_from_the_population(tmp_path: Path) -> None:
    evolution = evolve(tmp_path, pop=3, gens=6)
    assert evolution.population[-1].fitness < evolution.population[0].fitness
    tickets = [ask(str(tmp_path), arena=str(TOY))[1] for _ in range(25)]
    assert {ticket.individual for ticket in tickets} <= {one.id for one in evolution.population}
    assert len({ticket.individual for ticket in tickets}) > 1
    assert {ticket.intent for ticket in tickets} == set(INTENTS)
    best = [ticket for ticket in tickets if ticket.individual == evolution.population[0].id]
    assert len(best) > len(tickets) / 3  # a tournament of three: 19 of 27


def test_a_search_without_a_score_hands_out_no_parent(tmp_path: Path) -> None:
    archive = open_archive(tmp_path / "archive.git", TOY_ARENA)
    archive.close()
    with pytest.raises(UserError, match="no parent to hand out"):
        ask(str(tmp_path), arena=str(TOY))
