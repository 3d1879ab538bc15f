"""The numeric operator in a search: proposals, their share, and repeatability."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from evolve.archive.repository import Archive
from evolve.breeding import AFTER, Operators, gain_of
from evolve.individual import Outcome, Status
from evolve.tuning import OPERATOR, Tuner
from evolve.variation.catalogue import constants
from tests.stub import evaluate, evolve, noisy, rough, story


def both(archive: Archive) -> list[Operators]:
    return [Operators(tuner=Tuner(archive))]


def test_a_share_of_births_is_tuned_and_children_say_what_changed(tmp_path: Path) -> None:
    evolution = evolve(tmp_path, pop=4, gens=8, sources_of=both)
    tuned = [one for one in evolution.archive.individuals.values() if one.operator == OPERATOR]
    assert 3 <= len(tuned) <= 24
    assert min(one.id for one in tuned) > AFTER - 2
    for one in tuned:
        (parent,) = one.parents
        before = {c.name: c.value for c in constants(evolution.archive.individuals[parent].genome)}
        after = {c.name: c.value for c in constants(one.genome)}
        changed = [name for name in after if after[name] != before[name]]
        assert changed and all(f"{name} to {after[name]} (was {before[name]})" in one.idea for name in changed)
    genomes = [one.genome for one in evolution.archive.individuals.values()]
    assert len(set(genomes)) == len(genomes)


def test_a_search_with_it_repeats_and_continues(tmp_path: Path) -> None:
    whole = evolve(tmp_path / "whole", pop=3, gens=8, sources_of=both, function=noisy)
    for evaluations in (13, 20):
        evolve(tmp_path / "parts", pop=3, gens=8, sources_of=both, function=noisy, max_evals=evaluations)
    parts = evolve(tmp_path / "parts", pop=3, gens=8, sources_of=both, function=noisy)
    assert story(parts) == story(whole)


def test_failures_are_learned_from_by_the_constants_of_their_genome(tmp_path: Path) -> None:
    def fragile(trial: object) -> Outcome:
        outcome = evaluate(trial)  # type: ignore[arg-type]
        if outcome.individual % 4 == 2:
            return Outcome(Status.OUT_OF_MEMORY, individual=outcome.individual)
        return outcome

    evolution = evolve(tmp_path, pop=3, gens=6, sources_of=both, function=fragile)  # type: ignore[arg-type]
    assert any(one.operator == OPERATOR for one in evolution.archive.individuals.values())
    with Archive.open(tmp_path / "archive.git") as archive:
        rows = Tuner(archive)._history()
    assert all(set(row.constants) == {"WIDTH", "DEPTH", "BIAS", "SHAPE"} for row in rows)
    assert any(row.score is None for row in rows)


def test_replicates_are_one_row(tmp_path: Path) -> None:
    evolution = evolve(tmp_path, pop=3, gens=12, function=rough, seed_replicates=3)
    assert evolution.replicates
    with Archive.open(tmp_path / "archive.git") as archive:
        rows = Tuner(archive)._history()
        assert [row.score for row in rows] == [one.fitness.mean for one in archive.individuals.values()]


def test_births_go_to_the_operators_whose_offspring_gain(tmp_path: Path) -> None:
    evolution = evolve(tmp_path, pop=3, gens=8, confirm=0)
    for winner in ("numeric", "crossover", "catalogue"):
        losers = [name for name in ("numeric", "crossover", "catalogue") if name != winner]
        for one in list(evolution.archive.individuals.values())[1:]:
            gained = gain_of(evolution.archive, one)
            one.operator = winner if gained is not None and gained > 0 else losers[one.id % 2]
        operators = Operators(tuner=Tuner(evolution.archive))
        chosen = Counter(operators.choose(evolution, birth) for birth in range(1000, 1300))
        assert chosen.most_common(1)[0][0] == winner
        assert all(10 < chosen[name] < 100 for name in losers)  # a fifth is spread evenly, whatever was gained


def test_without_a_tuner_or_before_ten_individuals_nothing_is_chosen_but_what_can_be(tmp_path: Path) -> None:
    few = evolve(tmp_path / "few", pop=3, gens=2, confirm=0)
    assert {Operators(tuner=Tuner(few.archive)).choose(few, birth) for birth in range(50)} == {"catalogue"}
    more = evolve(tmp_path / "more", pop=3, gens=5, confirm=0)
    assert {Operators().choose(more, birth) for birth in range(50)} == {"catalogue", "crossover"}
    assert {Operators(crossover=False).choose(more, birth) for birth in range(50)} == {"catalogue"}
