"""The steady-state search: ask() for the next trial, tell() what came of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from typing import Protocol

import numpy as np
from deap import base, tools

from evolve.archive.repository import Archive
from evolve.breeding import Operators, Source
from evolve.evaluation.trial import Cancelled, Trial
from evolve.individual import Individual, Outcome


class Evolution:
    """Steady-state (mu + lambda) evolution of the genomes in an archive.

        evaluate the seed genome (in all slots at once: offspring, too, will train beside others)
        while births < pop * gens:                      no generational barrier:
            parents = select(population)                    a free worker asks,
            offspring = mutate(parent) or mate(parents)     the offspring is archived,
            outcome   = evaluate(offspring)                 trained for one time box, and told;
            population = survive(population + offspring, mu = pop)

    Everything lives in the archive: a new Evolution over the same archive goes on where the last one
    stopped, and individuals without an outcome are run first.
    """

    def __init__(
        self,
        archive: Archive,
        toolbox: base.Toolbox,
        make_trial: Callable[[Individual, int], Trial],
        *,
        pop: int,
        gens: int,
        seed: int,
        max_evals: int | None = None,
        seed_replicates: int = 1,
        sources: Sequence[Source] | None = None,
    ) -> None:
        """`max_evals` counts all evaluations in the archive; `make_trial` takes an individual and a replicate.

        `sources` are asked for offspring in their order; None: the operators that need no language model.
        """
        self.archive = archive
        self.toolbox = toolbox
        self.pop = pop
        self.gens = gens
        self.seed = seed
        self.max_evals = max_evals
        self.sources: Sequence[Source] = (Operators(),) if sources is None else sources
        self.population: list[Individual] = []
        self.logbook = tools.Logbook()
        self._statistics = tools.Statistics(key=lambda individual: individual.fitness.mean)
        best_first = (np.max, np.min) if self.seed_individual.fitness.weights[0] > 0 else (np.min, np.max)
        for name, function in zip(("best", "worst", "mean"), (*best_first, np.mean), strict=True):
            self._statistics.register(name, function)
        self._make_trial = make_trial
        self._running: set[tuple[int, int]] = set()  # (individual, replicate)
        self.evaluations = 0
        for individual, _ in archive.in_order():
            self._take(individual)
        if self.population:
            self._publish()
        self._waiting = deque(self._unfinished(seed_replicates))

    @property
    def seed_individual(self) -> Individual:
        return self.archive.individuals[0]

    @property
    def stuck(self) -> bool:
        """Whether no genome can be selected and none is being evaluated: the seed genome failed."""
        return not self.population and not self._running and bool(self.seed_individual.outcomes) and not self._waiting

    @property
    def best(self) -> Individual | None:
        """The individual with the best fitness so far."""
        return self.population[0] if self.population else None

    @property
    def births(self) -> int:
        """Offspring so far; the seed genome is not one."""
        return len(self.archive.individuals) - 1

    @property
    def births_planned(self) -> int:
        return self.pop * self.gens

    @property
    def evaluations_left(self) -> int:
        """How many evaluations are still to be finished within the plan."""
        unborn = max(0, self.births_planned - self.births)
        left = unborn + len(self._waiting) + len(self._running)
        return left if self.max_evals is None else max(0, min(left, self.max_evals - self.evaluations))

    def ask(self) -> Trial | None:
        """The next trial to run, its individual already in the archive; None where there is none now."""
        if self.evaluations_left <= len(self._running):
            return None
        if self._waiting:
            individual, replicate = self._waiting.popleft()
        elif not self.population or self.births >= self.births_planned:
            return None
        elif (newborn := self._breed()) is not None:
            individual, replicate = newborn, 0
        else:
            return None
        self._running.add((individual.id, replicate))
        return self._make_trial(individual, replicate)

    def tell(self, outcome: Outcome) -> Individual:
        """Archive an outcome, then let selection see it."""
        individual = self.archive.individuals[outcome.individual]
        self.archive.record(individual, outcome)
        self._running.discard((outcome.individual, outcome.replicate))
        self._take(individual)
        if self.population:
            self._publish()
        for source in self.sources:
            source.told(individual, outcome)
        return individual

    def prepare(self) -> None:
        """Let the sources work ahead while trials run."""
        if self.population:
            for source in self.sources:
                source.prepare(self)

    def forget(self, trial: Trial) -> None:
        """A trial was cancelled: its individual stays in the archive without that outcome, to be run again."""
        self._running.discard((trial.individual, trial.replicate))
        self._waiting.appendleft((self.archive.individuals[trial.individual], trial.replicate))

    def _unfinished(self, seed_replicates: int) -> Iterator[tuple[Individual, int]]:
        """What earlier engines left to evaluate: replicates of the seed genome, and what was in flight."""
        seed = self.seed_individual
        done = {outcome.replicate for outcome in seed.outcomes}
        if done and not seed.fitness.measured:
            seed_replicates = max(done) + 2  # it failed whenever it ran: nothing can start before it is mended
        for replicate in range(seed_replicates):
            if replicate not in done:
                yield seed, replicate
        for individual in self.archive.pending():
            if individual is not seed:
                yield individual, 0

    def _take(self, individual: Individual) -> None:
        self.evaluations += 1
        others = [one for one in self.population if one is not individual]
        self.population = self.toolbox.survive([*others, individual], self.pop)
        if self.population and self.evaluations % self.pop == 0:
            self.logbook.record(
                gen=self.evaluations // self.pop,
                evaluations=self.evaluations,
                **self._statistics.compile(self.population),
            )

    def _publish(self) -> None:
        self.archive.set_elite(self.population)
        self.archive.set_champion(self.population[0])

    def _breed(self) -> Individual | None:
        """The next offspring, archived: of the first source that has one ready."""
        for source in self.sources:
            offspring = source.take(self)
            if offspring is not None:
                individual = self.archive.add(offspring)
                source.born(individual)
                return individual
        return None


class Monitor(Protocol):
    """What watches a search: the live screen, the plain lines, or nothing."""

    def launched(self, trial: Trial) -> None: ...

    def told(self, individual: Individual, outcome: Outcome) -> None: ...

    def tick(self) -> None:
        """Called several times a second while trials run."""


class Stop(Protocol):
    """Whether the user wants the search to end: `drain` starts nothing new, `now` gives up what runs."""

    @property
    def drain(self) -> bool: ...

    @property
    def now(self) -> bool: ...


def search(evolution: Evolution, executor: Executor, workers: int, monitor: Monitor, stop: Stop) -> None:
    """Keep `workers` trials running until the plan is done or the user stops it.

    Every outcome is told before the next trial is asked for, in birth order where several are ready at
    once, so that one worker and a deterministic evaluator give the same search twice. An immediate stop
    shuts the executor down; trials that it ends are forgotten, to be run again by the next engine.
    """
    running: dict[Future[Outcome], Trial] = {}
    while True:
        while len(running) < workers and not stop.drain:
            trial = evolution.ask()
            if trial is None:
                break
            running[executor.submit(evolution.toolbox.evaluate, trial)] = trial
            monitor.launched(trial)
        if not running and (stop.drain or evolution.stuck or not evolution.evaluations_left):
            return
        if stop.now:
            executor.shutdown(wait=False, cancel_futures=True)
        if not stop.drain:
            evolution.prepare()  # the workers are busy: what this takes costs none of them time
        if running:
            done, _ = wait(running, timeout=0.25, return_when=FIRST_COMPLETED)
        else:
            time.sleep(0.05)  # a source is still writing
            done = set()
        for future in sorted(done, key=lambda one: running[one].individual):
            trial = running.pop(future)
            try:
                outcome = future.result()
            except (Cancelled, CancelledError):
                evolution.forget(trial)
            else:
                monitor.told(evolution.tell(outcome), outcome)
        monitor.tick()
