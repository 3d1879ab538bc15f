"""A search whose trials are functions: real engine, real archive, real operators, no processes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from deap import base

from evolve import arena
from evolve.archive.repository import Archive
from evolve.arena import Arena
from evolve.breeding import Source
from evolve.engine import Evolution, search
from evolve.evaluation.trial import Trial
from evolve.individual import Individual, Offspring, Outcome, Status
from evolve.race import Race
from evolve.randomness import CounterBased
from evolve.rundir import RunDirectory
from evolve.toolbox import make_toolbox
from evolve.trials import Data, TrialMaker
from evolve.variation.merge_driver import install

CONSTANT = re.compile(r"^(WIDTH|DEPTH|BIAS|SHAPE) = (.+?)  #", re.MULTILINE)  # a parser would cost more than the engine
TOY = Path(__file__).parent / "toy"


def _value(literal: str) -> Any:
    return literal.strip("\"'") if literal[0] in "\"'" else float(literal) if "." in literal else int(literal)


def evaluate(trial: Trial) -> Outcome:
    """What the toy script would report: a score that follows from the genome's constants alone."""
    value = {name: _value(literal) for name, literal in CONSTANT.findall(trial.source)}
    penalty = {"round": 0.3, "flat": 0.1, "sharp": 0.0}[value["SHAPE"]]
    score = 1.0 + (value["WIDTH"] - 5.0) ** 2 / 20 + (value["DEPTH"] - 7) ** 2 / 50 + (value["BIAS"] + 0.25) ** 2
    return Outcome(
        Status.OK,
        score + penalty,
        individual=trial.individual,
        replicate=trial.replicate,
        seed=trial.seed,
        seconds={"startup": 0.01, "training": 0.05, "scoring": 0.01, "total": 0.07},
        constants=value,
        curve=[(k / 60, math.exp(-k / 20) + score) for k in range(60)],
        tail="done",
    )


def noisy(trial: Trial) -> Outcome:
    """The same with noise that follows from genome and seed: a deterministic evaluator of noisy experiments."""
    outcome = evaluate(trial)
    assert outcome.score is not None
    return replace(outcome, score=outcome.score + 0.02 * CounterBased(f"{trial.source}/{trial.seed}".encode()).gauss())


def rough(trial: Trial) -> Outcome:
    """With so much noise that replicates are worth more than births."""
    outcome = evaluate(trial)
    assert outcome.score is not None
    return replace(outcome, score=outcome.score + 0.2 * CounterBased(f"{trial.source}/{trial.seed}".encode()).gauss())


class Silent:
    """A monitor that shows nothing."""

    def launched(self, trial: Trial) -> None: ...

    def told(self, individual: Individual, outcome: Outcome) -> None: ...

    def tick(self) -> None: ...


class Never:
    """A user who does not stop the search."""

    drain = False
    now = False


def open_archive(path: Path, toy: Arena) -> Archive:
    if path.exists():
        return Archive.open(path, write=True)
    archive = Archive.create(
        path,
        {"arena": "toy", "script": "train.py", "metric": "val_bpb", "direction": "min", "corpus": "toy", "seed": 1}
        | {"time_box": toy.time_box},
    )
    archive.add(Offspring(toy.seed_genome, (), "seed", "The seed genome of toy", 0))
    return archive


def evolve(
    folder: Path,
    *,
    pop: int = 4,
    gens: int = 5,
    seed: int = 1,
    workers: int = 1,
    max_evals: int | None = None,
    seed_replicates: int = 1,
    function: Callable[[Trial], Outcome] = evaluate,
    executor: Executor | None = None,
    selection: str = "noise-aware",
    toolbox_of: Callable[[Archive], base.Toolbox] | None = None,
    sources_of: Callable[[Archive], Sequence[Source]] | None = None,
    racing_of: Callable[[Archive, Sequence[str]], Race] | None = None,
    **options: Any,
) -> Evolution:
    """Run (or continue) a search in `folder` to the end of its plan; the archive is closed after."""
    toy = arena.load(str(TOY))
    directory = RunDirectory(folder)
    archive = open_archive(directory.archive, toy)
    install(archive.path)
    toolbox = toolbox_of(archive) if toolbox_of else make_toolbox(archive, selection)
    toolbox.register("evaluate", function)
    maker = TrialMaker(toy, Data("toy", "toy", ""), directory)
    evolution = Evolution(
        archive,
        toolbox,
        maker,
        pop=pop,
        gens=gens,
        seed=seed,
        max_evals=max_evals,
        seed_replicates=seed_replicates,
        sources=sources_of(archive) if sources_of else None,
        racing=racing_of(archive, toy.schedule) if racing_of else None,
        **options,
    )
    with executor or ThreadPoolExecutor(workers) as pool:
        search(evolution, pool, workers, Silent(), Never())
    archive.close()
    return evolution


def story(evolution: Evolution) -> list[tuple[object, ...]]:
    """All that two identical searches must have in common."""
    return [
        (one.id, one.parents, one.operator, one.idea, one.genome, one.fitness.values)
        for one in evolution.archive.individuals.values()
    ]
