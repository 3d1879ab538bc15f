"""A search that goes on after operations on its lineages is the search that it would have been."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from evolve import arena
from evolve.archive import Archive
from evolve.archive.table import evaluations
from evolve.evaluation.executors import Slot
from evolve.evaluation.trial import Trial
from evolve.individual import DERIVED, Outcome
from evolve.lineages.ablate import ablate
from evolve.lineages.prune import prune
from evolve.lineages.replay import replay
from evolve.lineages.transfer import transfer
from evolve.measuring import Workplace
from evolve.rundir import RunDirectory
from evolve.trials import Data
from tests.stub import TOY, evolve, noisy, story

PLAN = {"pop": 3, "gens": 8, "seed_replicates": 3, "function": noisy}


def study(folder: Path) -> None:
    directory = RunDirectory(folder)
    with Archive.open(directory.archive, write=True) as archive:
        longest = max(archive.individuals.values(), key=lambda one: (one.generation, one.id))
        place = Workplace(
            archive,
            arena.load(str(TOY)),
            Data("", "", ""),
            directory,
            [Slot((0,))],
            Console(file=io.StringIO()),
            noisy,
        )
        for operation in (replay, ablate, prune):
            operation(place, str(longest.id), 2)
        transfer(place, str(longest.id), settings=["BIAS=0.9"], replicates=2)
        assert archive.studies() and archive.derived


def refs(folder: Path) -> dict[str, str]:
    with Archive.open(folder / "archive.git") as archive:
        return {f"elite/{rank}": one.commit[:0] + str(one.id) for rank, one in enumerate(archive.elite())} | {
            "champion": str(archive.resolve("champion").id)
        }


def test_the_search_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    whole = evolve(tmp_path / "whole", **PLAN)  # type: ignore[arg-type]
    for evaluations_done in (14, 29):
        evolve(tmp_path / "parts", max_evals=evaluations_done, **PLAN)  # type: ignore[arg-type]
        before = refs(tmp_path / "parts")
        study(tmp_path / "parts")
        assert refs(tmp_path / "parts") == before
    parts = evolve(tmp_path / "parts", **PLAN)  # type: ignore[arg-type]
    assert story(parts) == story(whole)
    assert [one.id for one in parts.population] == [one.id for one in whole.population]
    assert parts.champion is not None and whole.champion is not None
    assert parts.champion.id == whole.champion.id
    assert (parts.births, parts.evaluations, parts.replicates) == (whole.births, whole.evaluations, whole.replicates)
    assert refs(tmp_path / "parts") == refs(tmp_path / "whole")


def test_a_table_of_evaluations_has_those_of_operations_at_its_end(tmp_path: Path) -> None:
    evolve(tmp_path, **PLAN | {"gens": 2})  # type: ignore[arg-type]
    with Archive.open(tmp_path / "archive.git") as archive:
        before = evaluations(archive)
    study(tmp_path)
    with Archive.open(tmp_path / "archive.git") as archive:
        after = evaluations(archive)
        assert after[: len(before)] == before
        assert len(after) == len(before) + len(archive.studies())
        assert {row["operator"] for row in after[len(before) :]} >= {"ablation", "transfer"}


def test_a_trial_of_a_derived_genome_is_told_apart(tmp_path: Path) -> None:
    seen: list[Trial] = []

    def noted(trial: Trial) -> Outcome:
        seen.append(trial)
        return noisy(trial)

    evolve(tmp_path, **PLAN | {"gens": 2, "function": noted})  # type: ignore[arg-type]
    study(tmp_path)
    with Archive.open(tmp_path / "archive.git") as archive:
        assert all(trial.individual < DERIVED for trial in seen)
        assert all(one.studies and not one.outcomes for one in archive.derived.values() if one.operator == "ablation")
        assert all(not one.fitness.measured for one in archive.derived.values())
