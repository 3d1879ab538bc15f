"""The steady-state search: ask() for the next trial, tell() what came of it."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import replace
from typing import Protocol

import numpy as np
from deap import base, tools

from evolve.archive.repository import Archive
from evolve.arena import Direction, Flagged
from evolve.breeding import Operators, Source
from evolve.confirmation import Pair, confirmed, outstanding
from evolve.disturbance import Disturbance
from evolve.estimates import Estimates
from evolve.evaluation import heartbeat
from evolve.evaluation.racing import Curve
from evolve.evaluation.trial import Cancelled, Trial, cancel
from evolve.flags import new_flags
from evolve.individual import CHOICE, FRESH, Individual, Outcome, Status
from evolve.race import Race

REPLICATE_SHARE = 0.15  # of all evaluations: at most this many go to replicates during the search
SEED_STDERR = 0.0005  # of the seed genome's mean, relative to it: above, its replicates disagree
SEED_MOST = 6  # replicates of the seed genome, however much they disagree
MARGIN = 2.0  # standard deviations of a run, beyond the cut, within which a score is computed again
RERUNS = 2  # of an evaluation that was disturbed, in one session
CONFIRM = 4  # fresh runs of the champion, and of the seed genome


class Evolution:
    """Steady-state (mu + lambda) evolution of the genomes in an archive.

        evaluate the seed genome several times (in all slots at once: offspring, too, will train beside others)
        while births < pop * gens:                      no generational barrier:
            where a decision hangs on an individual,        a free worker asks,
                evaluate it once more
            parents = select(population)
            offspring = mutate(parent) or mate(parents)     the offspring is archived,
            outcome   = evaluate(offspring)                 trained for one time box, and told;
            population = survive(all individuals, mu = pop)
        confirm the champion on fresh seeds

    Everything lives in the archive, and every decision follows from what is in it: a new Evolution over the same
    archive goes on where the last one stopped, and individuals without an outcome are run first.
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
        replicate_share: float = REPLICATE_SHARE,
        confirm: int = CONFIRM,
        racing: Race | None = None,
        flagged: Flagged = Flagged.AUDIT,
        thorough: bool = False,
    ) -> None:
        """`max_evals` counts all evaluations in the archive; `make_trial` takes an individual and a replicate.

        `sources` are asked for offspring in their order; None: the operators that need no language model.
        `replicate_share` bounds the replicates by which the search decides, `confirm` is the number of fresh
        runs of the champion at its end. `racing` judges running trials; None: every run gets its whole box.
        `flagged` is what becomes of edits that touch what a genome has no business with. `thorough`: every
        score is computed again, however bad.
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
        self._statistics = tools.Statistics()
        self.direction = Direction.MAX if self.seed_individual.fitness.weights[0] > 0 else Direction.MIN
        best_first = (np.max, np.min) if self.direction is Direction.MAX else (np.min, np.max)
        for name, function in zip(("best", "worst", "mean"), (*best_first, np.mean), strict=True):
            self._statistics.register(name, function)
        self._make_trial = make_trial
        self._replicate_share = replicate_share
        self._confirm = confirm
        self.racing = racing
        self._flagged = flagged
        self._thorough = thorough
        self._flags: dict[int, list[str]] = {}
        self._running: set[Pair] = set()
        self.evaluations = 0
        self._void = 0  # of them, disturbed
        self._evaluated: set[int] = set()
        self.replicates = 0  # finished ones by which the search decides, those of the seed genome apart
        self._disturbance = Disturbance()
        self.searched = Estimates(self.direction, before=CHOICE)
        self.estimates = Estimates(self.direction, before=FRESH)
        self._fresh: dict[int, Individual] = {}  # those with a run that only confirms
        self._children = Counter(id for one in archive.individuals.values() for id in one.parents)
        for individual, outcome in archive.in_order():
            self._take(individual, outcome)
        self._reselect()
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
        """The individual with the best fitness so far, as selection estimates it."""
        return self.population[0] if self.population else None

    @property
    def champion(self) -> Individual | None:
        """The best confirmed individual; while none is, the best so far."""
        return confirmed(self._fresh.values()) or self.best

    @property
    def evaluated(self) -> int:
        """Individuals with an outcome, however many replicates each has."""
        return len(self._evaluated)

    @property
    def births(self) -> int:
        """Offspring so far; the seed genome is not one."""
        return len(self.archive.individuals) - 1

    @property
    def births_planned(self) -> int:
        return self.pop * self.gens

    @property
    def standing(self) -> str:
        """How far it is, in words."""
        text = f"births {self.births}/{self.births_planned}, generation {self.births // self.pop}/{self.gens}"
        if self.best is not None and self.seed_individual.fitness.measured:
            best, seed = self.best.fitness.mean, self.seed_individual.fitness.mean
            text += f"; best {best:.4f} (#{self.best.id}), seed genome {seed:.4f}"
        return text

    @property
    def evaluations_left(self) -> int:
        """How many evaluations are still to be finished within the plan; replicates to come are no part of it."""
        unborn = max(0, self.births_planned - self.births)
        left = unborn + len(self._waiting) + len(self._running)
        if self.population:
            left += 2 * self._confirm if unborn else len(self._unconfirmed())
        return left if self.max_evals is None else max(0, min(left, self.max_evals - self.evaluations))

    def ask(self) -> Trial | None:
        """The next trial to run, its individual already in the archive; None where there is none now."""
        if self.max_evals is not None and self.evaluations + len(self._running) >= self.max_evals:
            return None
        pair = self._next()
        if pair is None:
            return None
        self._running.add(pair)
        individual, replicate = self.archive.individuals[pair[0]], pair[1]
        return replace(self._make_trial(individual, replicate), bar=self._bar(individual, replicate))

    def _bar(self, individual: Individual, replicate: int) -> float:
        """The worst score that is computed again, in a process that the genome never touched, before it counts.

        Whoever would enter the population, by the cut of now and a margin, because the cut may have moved when
        the trial ends; whoever is flagged, and every run that the champion is chosen or measured by.
        """
        weight = float(self.seed_individual.fitness.weights[0])
        if self._thorough or replicate >= CHOICE or self._flags_of(individual):
            return -math.inf * weight
        return self.cut - weight * (MARGIN * self.estimates.noise.sd if self.estimates.measured else 0.0)

    def _flags_of(self, individual: Individual) -> list[str]:
        """What its edit touches; nothing where the arena allows everything."""
        if self._flagged is Flagged.ALLOW or not individual.parents:
            return []
        if individual.id not in self._flags:
            parents = [self.archive.individuals[id].genome for id in individual.parents]
            self._flags[individual.id] = new_flags(individual.genome, parents)
        return self._flags[individual.id]

    def race(self, trial: Trial, curve: Curve) -> str | None:
        """Why to stop a running trial, given its learning curve so far; None where it goes on.

        Only an offspring's first run is raced: whoever earned a replicate is no loser.
        """
        individual = self.archive.individuals[trial.individual]
        if self.racing is None or trial.replicate or not individual.parents:
            return None
        return self.racing.judge(individual, curve, self.cut)

    def tell(self, outcome: Outcome) -> Individual:
        """Archive an outcome, then let selection see it."""
        individual = self.archive.individuals[outcome.individual]
        outcome = self._disturbance.judge(outcome)
        if individual.parents and outcome.replicate == 0 and outcome.score is not None:
            sign = 1.0 if self.direction is Direction.MIN else -1.0
            entered = sign * outcome.score < sign * self.cut
            behind = self.racing.let_through_at(individual) if self.racing is not None else None
            outcome = replace(outcome, entered=entered, let_through_at=behind)
        if flags := self._flags_of(individual):
            outcome = replace(outcome, flags=flags)
        self.archive.record(individual, outcome)
        self._running.discard((outcome.individual, outcome.replicate))
        self._take(individual, outcome)
        self._reselect()
        if outcome.counts:
            for source in self.sources:
                source.told(individual, outcome)
        elif self._disturbed(individual, outcome.replicate) <= RERUNS:
            self._waiting.appendleft((individual.id, outcome.replicate))
        return individual

    @staticmethod
    def _disturbed(individual: Individual, replicate: int) -> int:
        """How many times this evaluation was disturbed."""
        return sum(not one.counts and one.replicate == replicate for one in individual.outcomes)

    def prepare(self) -> None:
        """Let the sources work ahead while trials run."""
        if self.population:
            for source in self.sources:
                source.prepare(self)

    def forget(self, trial: Trial) -> None:
        """A trial was cancelled: its individual stays in the archive without that outcome, to be run again."""
        self._running.discard((trial.individual, trial.replicate))
        self._waiting.appendleft((trial.individual, trial.replicate))

    def request(self, pairs: Sequence[Pair]) -> None:
        """Run these evaluations next, and nothing that was left over from before."""
        self._waiting = deque(pairs)

    def _unfinished(self, seed_replicates: int) -> Iterator[Pair]:
        """What earlier engines left to evaluate: replicates of the seed genome, and what was in flight."""
        seed = self.seed_individual
        done = seed.done
        if seed.searched and not seed.fitness.measured:
            seed_replicates = max(done) + 2  # it failed whenever it ran: nothing can start before it is mended
        for replicate in range(seed_replicates):
            if replicate not in done:
                yield seed.id, replicate
        for individual in self.archive.pending():
            if individual is not seed:
                yield individual.id, 0

    def _next(self) -> Pair | None:
        if self._waiting:
            return self._waiting.popleft()
        if not self.population:
            return None
        if self.births < self.births_planned:
            return self._replicate() or self._breed()
        unconfirmed = self._unconfirmed()
        if self._running:
            # The last births still train, and an idle neighbour would flatter them. Whoever turns out to be
            # the champion, the seed genome's fresh runs are needed: they go first.
            unconfirmed.sort(key=lambda pair: pair[0] != self.seed_individual.id)
        return unconfirmed[0] if unconfirmed else None

    def _replicate(self) -> Pair | None:
        """One more run of whom a decision hangs on, within the share of evaluations set aside for that."""
        seed = self.seed_individual
        disagree = 1 < seed.fitness.count < SEED_MOST and seed.fitness.stderr > SEED_STDERR * abs(seed.fitness.mean)
        if disagree and self._running_replicates(seed.id) == 0:
            return seed.id, self._next_replicate(seed)
        under_way = sum(replicate > 0 and id != seed.id for id, replicate in self._running)
        allowed = self._replicate_share * (self.evaluations - self._void + len(self._running) + 1)
        if self.replicates + under_way + 1 > allowed or len(self.population) < self.pop:
            return None
        for candidate in self.estimates.candidates(self.pop, self._children):
            if self._running_replicates(candidate.key) == 0:
                return candidate.key, self._next_replicate(self.archive.individuals[candidate.key])
        return None

    def _running_replicates(self, id: int) -> int:
        return sum(one == id for one, _ in self._running)

    def _next_replicate(self, individual: Individual) -> int:
        done = individual.done
        return next(k for k in range(CHOICE) if k not in done)

    def _unconfirmed(self) -> list[Pair]:
        """The runs that are neither done nor under way, of those that confirm the champion."""
        individuals, seed = self.archive.individuals, self.seed_individual.id
        pairs = outstanding(self.searched, self.estimates, individuals, self._confirm, seed)
        return [pair for pair in pairs if pair not in self._running]

    def _take(self, individual: Individual, outcome: Outcome) -> None:
        self.evaluations += 1
        self._disturbance.take(outcome)
        self._void += not outcome.counts
        if outcome.counts:
            self._evaluated.add(individual.id)
            self.replicates += 0 < outcome.replicate < CHOICE and individual is not self.seed_individual
        if outcome.fresh:
            self._fresh[individual.id] = individual
        if self.racing is not None:
            self.racing.take(individual, outcome)
        for estimates in (self.searched, self.estimates):
            estimates.take(individual.id, outcome.replicate, outcome.score)
        if self.estimates.measured and self.evaluations % self.pop == 0:
            self.logbook.record(
                gen=self.evaluations // self.pop,
                evaluations=self.evaluations,
                **self._statistics.compile(self.estimates.means(self.pop)),
            )

    @property
    def cut(self) -> float:
        """The mean score that enters the population; infinitely bad while there is room."""
        means = self.estimates.means(self.pop)
        return means[-1] if len(means) == self.pop else -math.inf * self.seed_individual.fitness.weights[0]

    def _reselect(self) -> None:
        self.population = self.toolbox.survive(self.archive.individuals, self.estimates, self.pop)
        if self.champion is not None:
            self.archive.set_elite(self.population)
            self.archive.set_champion(self.champion)

    def _breed(self) -> Pair | None:
        """The next offspring, archived: of the first source that has one ready."""
        for source in self.sources:
            offspring = source.take(self)
            if offspring is not None:
                individual = self.archive.add(offspring)
                self._children.update(individual.parents)
                source.born(individual)
                if self._flagged is Flagged.REJECT and (flags := self._flags_of(individual)):
                    reason = f"its edit touches what a genome has no business with: {flags[0]}"
                    self.tell(Outcome(Status.REJECTED, reason=reason, individual=individual.id))
                    return None
                return individual.id, 0
        return None


class Work(Protocol):
    """What `search` sees to its end: an Evolution, or a plain list of evaluations."""

    toolbox: base.Toolbox
    racing: Race | None

    @property
    def archive(self) -> Archive: ...

    @property
    def best(self) -> Individual | None: ...

    @property
    def standing(self) -> str: ...

    @property
    def stuck(self) -> bool: ...

    @property
    def evaluations_left(self) -> int: ...

    def ask(self) -> Trial | None: ...

    def tell(self, outcome: Outcome) -> Individual: ...

    def forget(self, trial: Trial) -> None: ...

    def race(self, trial: Trial, curve: Curve) -> str | None: ...

    def prepare(self) -> None: ...


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


def search(evolution: Work, executor: Executor, workers: int, monitor: Monitor, stop: Stop) -> None:
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
                if stop.now:
                    evolution.forget(trial)
                    continue
                # Nobody here called it off: the genome wrote the file that does.
                outcome = Outcome(
                    Status.CHEATED,
                    reason="called off its own trial",
                    individual=trial.individual,
                    replicate=trial.replicate,
                    seed=trial.seed,
                )
            individual = evolution.tell(outcome)
            monitor.told(individual, individual.outcomes[-1])  # as it was archived
        for trial in running.values():
            beat = heartbeat.read(trial.folder) if evolution.racing is not None else None
            if beat is not None and (why := evolution.race(trial, beat.curve)) is not None:
                cancel(trial.folder, why)
        monitor.tick()
