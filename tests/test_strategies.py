"""The baselines: the same engine with less in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolve.archive.repository import Archive
from evolve.engine import Evolution
from evolve.strategies import STRATEGIES, operators, plan, toolbox
from evolve.variation.catalogue import constants
from tests.stub import evolve, noisy


def run(folder: Path, name: str) -> Evolution:
    strategy = STRATEGIES[name]
    pop, gens = plan(strategy, 4, 6)
    return evolve(
        folder,
        pop=pop,
        gens=gens,
        function=noisy,
        toolbox_of=lambda archive: toolbox(strategy, archive, "noise-aware"),
        sources_of=lambda archive: [operators(strategy, archive)],
        replicate_share=0.15 if strategy.honest else 0.0,
    )


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_spends_the_same_births_and_is_confirmed(tmp_path: Path, name: str) -> None:
    evolution = run(tmp_path, name)
    assert evolution.births == 24
    champion = evolution.champion
    assert champion is not None and champion.fitness.mean < evolution.seed_individual.fitness.mean


def test_a_hill_climber_breeds_from_its_incumbent_alone(tmp_path: Path) -> None:
    evolution = run(tmp_path, "hillclimb")
    best, incumbent = evolution.seed_individual.outcomes[0].score or 0.0, 0
    for one in list(evolution.archive.individuals.values())[1:]:
        assert one.parents == (incumbent,) and one.operator == "catalogue"
        score = one.outcomes[0].score
        assert score is not None
        if score < best:
            best, incumbent = score, one.id


@pytest.mark.parametrize("name", ["best-of-n", "random"])
def test_the_others_know_the_seed_genome_alone(tmp_path: Path, name: str) -> None:
    evolution = run(tmp_path, name)
    with Archive.open(tmp_path / "archive.git") as archive:
        offspring = list(archive.individuals.values())[1:]
        assert {one.parents for one in offspring} == {(0,)}
        seed = {c.name: c.value for c in constants(archive.individuals[0].genome)}
        changed = [sum(c.value != seed[c.name] for c in constants(one.genome)) for one in offspring]
    assert (sum(changed) / len(changed) > 3) == (name == "random")
    assert evolution.replicates == 0
