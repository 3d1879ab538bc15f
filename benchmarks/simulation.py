"""One simulated search: the real engine on a surrogate of real runs, and what it would report at several budgets."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.numeric import BUDGETS
from benchmarks.surrogate import BOX, NOISE, Surrogate, genome_text
from evolve.archive.repository import Archive
from evolve.arena import Arena
from evolve.breeding import Operators
from evolve.confirmation import CHOICE_RUNS, CONTENDERS, outstanding
from evolve.engine import CONFIRM, Evolution
from evolve.estimates import Estimates
from evolve.evaluation.racing import CHECKPOINTS
from evolve.evaluation.trial import Trial
from evolve.individual import FRESH, Individual, Offspring, Outcome, Status
from evolve.race import race_of
from evolve.randomness import replicate_seed
from evolve.replication import REPLICATE_SHARE
from evolve.run import SEED_REPLICATES
from evolve.rundir import RunDirectory
from evolve.strategies import STRATEGIES, plan, toolbox
from evolve.trials import Data, TrialMaker
from evolve.tuning import Tuner
from evolve.variation.catalogue import constants
from evolve.variation.merge_driver import install

POP = 8
SIGMAS = 2  # of the difference of two runs' noise, by which the cautious greedy search wants an offspring to be better


@dataclass(frozen=True)
class Method:
    """A strategy of the engine, with what is switched off."""

    strategy: str = "evolve"
    replicates: bool = True
    racing: bool = True
    numeric: bool = True
    crossover: bool = True
    cautious: bool = False  # SIGMAS to accept


@dataclass
class Result:
    """Of one search. `true` and `optimism` at each of BUDGETS, BPB; `trace`: true value of the best, by whole boxes."""

    true: list[float] = field(default_factory=list)
    optimism: list[float] = field(default_factory=list)
    trace: list[float] = field(default_factory=list)
    saved: float = 0.0  # boxes, by racing
    births: float = 0.0  # boxes that the offspring's first runs would have taken without
    stopped_entrants: int = 0  # runs that racing stopped and whose score would have entered the population
    entrants: int = 0  # all that entered or would have
    leads: list[float] = field(default_factory=list)  # of births with a score over the cut, BPB; infinite: room for all
    touches: list[bool] = field(default_factory=list)  # whether the edits of these births touch the schedule


class Simulation:
    """One search of one method with one seed."""

    def __init__(self, surrogate: Surrogate, method: Method, seed: int, folder: Path) -> None:
        self.surrogate = surrogate
        self.seed = seed
        self.used = 0.0  # boxes
        self.result = Result()
        self._true: dict[int, float] = {}
        self._honest = STRATEGIES[method.strategy].honest
        strategy = STRATEGIES[method.strategy]
        arena = Arena("h200", folder, "train.py", time_box=BOX)
        self.archive = Archive.create(
            folder / "archive.git",
            {"arena": "h200", "script": "train.py", "metric": "val_bpb", "direction": "min", "corpus": ""}
            | {"time_box": BOX, "seed": seed},
        )
        install(self.archive.path)
        self.archive.add(Offspring(genome_text(), (), "seed", "The seed genome", 0))
        box = toolbox(strategy, self.archive, "noise-aware")
        if method.cautious:
            box.register("survive", _cautious_survivor)
        operators = Operators(
            crossover=self._honest and method.crossover,
            tuner=Tuner(self.archive) if self._honest and method.numeric else None,
        )
        pop, gens = plan(strategy, POP, 1000)
        self.evolution = Evolution(
            self.archive,
            box,
            TrialMaker(arena, Data("", "", ""), RunDirectory(folder)),
            pop=pop,
            gens=gens,
            seed=seed,
            seed_replicates=SEED_REPLICATES if self._honest else 1,
            sources=[operators],
            replicate_share=REPLICATE_SHARE if self._honest and method.replicates else 0.0,
            confirm=0,
            racing=race_of(self.archive, arena.schedule) if self._honest and method.racing else None,
        )

    def run(self) -> Result:
        """Search until the last budget is spent, and look at what would be reported at each."""
        # What confirming may take at most, set aside of every budget.
        reserve = CONTENDERS * CHOICE_RUNS + 2 * CONFIRM if self._honest else 0
        while len(self.result.true) < len(BUDGETS):
            trial = self.evolution.ask()
            assert trial is not None  # one at a time, and the plan is longer than any budget
            outcome = self._evaluate(trial)
            while len(self.result.true) < len(BUDGETS) and self.used > BUDGETS[len(self.result.true)] - reserve:
                self._report()
            self.evolution.tell(outcome)
            best = self.evolution.best
            assert best is not None or not outcome.score
            while best is not None and len(self.result.trace) < self.used:
                self.result.trace.append(self._true_value(best))
        self.archive.close()
        return self.result

    def _evaluate(self, trial: Trial) -> Outcome:
        """The simulated run, stopped where racing says so."""
        values = _values(trial.source)
        run = self.surrogate.run(values, self._noise_seed(trial.seed))
        known: dict[str, Any] = {"individual": trial.individual, "replicate": trial.replicate, "seed": trial.seed}
        first = trial.replicate == 0 and trial.individual > 0
        cut = self.evolution.cut
        entrant = first and run.score is not None and run.score < cut
        self.result.entrants += entrant
        self.result.births += first * run.seconds / BOX
        if first and run.score is not None and (race := self.evolution.racing) is not None:
            self.result.leads.append(cut - run.score)
            self.result.touches.append(race.touches_schedule(self.archive.individuals[trial.individual]))
        for checkpoint in CHECKPOINTS if run.score is not None else ():
            curve = [point for point in run.curve if point[0] <= checkpoint + 1e-9]
            if (why := self.evolution.race(trial, curve)) is not None:
                self.used += checkpoint
                self.result.saved += 1.0 - checkpoint
                self.result.stopped_entrants += entrant
                seconds = {"training": checkpoint * BOX}
                return Outcome(Status.RACED, reason=why, curve=curve, constants=values, seconds=seconds, **known)
        self.used += run.seconds / BOX
        return Outcome(
            Status(run.status),
            run.score,
            curve=run.curve,
            constants=values if run.score is not None else {},
            seconds={"training": run.seconds},
            **known,
        )

    def _noise_seed(self, seed: int) -> int:
        return seed + 1_000_003 * self.seed

    def _true_value(self, individual: Individual) -> float:
        if individual.id not in self._true:
            self._true[individual.id] = self.surrogate.true(_values(individual.genome))
        return self._true[individual.id]

    def _report(self) -> None:
        """What the user would be told now: a confirmed figure, or the best score of a baseline."""
        best = self.evolution.best
        assert best is not None
        reported = best.fitness.mean
        if self._honest:
            best, reported = self._confirm()
        true = self._true_value(best)
        self.result.true.append(true)
        self.result.optimism.append(true - reported)

    def _confirm(self) -> tuple[Individual, float]:
        """The engine's own confirmation, on copies, so that the search goes on untouched by it."""
        individuals = self.archive.individuals
        search, choice = copy.deepcopy(self.evolution.searched), copy.deepcopy(self.evolution.estimates)
        copies: Mapping[int, Any] = {id: SimpleNamespace(done=one.done) for id, one in individuals.items()}
        fresh: dict[int, list[float]] = {}
        while pairs := outstanding(search, choice, copies, CONFIRM, 0):
            for id, replicate in pairs:
                values = _values(individuals[id].genome)
                score = self.surrogate.run(values, self._noise_seed(replicate_seed(replicate))).score
                _take(copies[id], search, choice, Outcome(_status(score), score, individual=id, replicate=replicate))
                if replicate >= FRESH and score is not None and id:
                    fresh.setdefault(id, []).append(score)
        if not fresh:  # nothing beats the seed genome
            return individuals[0], individuals[0].fitness.mean
        chosen = max(fresh)
        return individuals[chosen], float(np.mean(fresh[chosen]))


def _take(one: Any, search: Estimates, choice: Estimates, outcome: Outcome) -> None:
    one.done.add(outcome.replicate)
    for estimates in (search, choice):
        estimates.take(outcome.individual, outcome.replicate, outcome.score)


def _status(score: float | None) -> Status:
    return Status.CRASHED if score is None else Status.OK


def _values(genome: str) -> dict[str, Any]:
    return {constant.name: constant.value for constant in constants(genome)}


def _cautious_survivor(individuals: Mapping[int, Individual], estimates: Estimates, mu: int) -> list[Individual]:
    """The incumbent of a greedy search that wants SIGMAS standard deviations of a difference of two runs."""
    measured = [one for one in individuals.values() if one.fitness.measured]
    incumbent = measured[0] if measured else None
    for one in measured:
        assert incumbent is not None
        if one.fitness.mean < incumbent.fitness.mean - SIGMAS * math.sqrt(2) * NOISE:
            incumbent = one
    return [] if incumbent is None else [incumbent]
