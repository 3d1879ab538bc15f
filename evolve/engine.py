"""The steady-state search: ask() for the next trial, tell() what came of it."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import replace

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
from evolve.replication import REPLICATE_SHARE, Replication
from evolve.spending import Spending
from evolve.throughput import pace_of
from evolve.work import Monitor, Stop, Work

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
        spending: Spending | None = None,
        flagged: Flagged = Flagged.AUDIT,
    ) -> None:
        """`max_evals` counts all evaluations in the archive; `make_trial` takes an individual and a replicate.

        `sources` are asked for offspring in their order; None: the operators that need no language model.
        `replicate_share` bounds the replicates by which the search decides, `confirm` is the number of fresh
        runs of the champion at its end. `racing` judges running trials; None: every run gets its whole box. No
        offspring is born once `spending` has reached a cap; None: there is none. `flagged` is what becomes of edits
        that touch what a genome has no business with.
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
        self._replication = Replication(replicate_share)
        self._confirm = confirm
        self.racing = racing
        self._flagged = flagged
        self._flags: dict[int, list[str]] = {}
        self.spending = spending or Spending(float(archive.read_state()["time_box"]))
        self._running: set[Pair] = set()
        self.evaluations = 0
        self._void = 0  # of them, disturbed
        self._evaluated: set[int] = set()
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
    def replicates(self) -> int:
        """Finished runs by which the search decided, beyond the first of each individual; the seed genome's apart."""
        return self._replication.finished

    @property
    def births(self) -> int:
        """Offspring so far; the seed genome is not one."""
        return len(self.archive.individuals) - 1

    @property
    def births_planned(self) -> int:
        return self.pop * self.gens

    @property
    def born_out(self) -> bool:
        """Whether no more offspring are to be born: as many as were planned are, or a cap is reached."""
        return self.births >= self.births_planned or self.spending.spent(len(self._running))

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
        unborn = 0 if self.born_out else self.births_planned - self.births
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
        trial = self._make_trial(individual, replicate)
        if replicate >= CHOICE or self._flags_of(individual):
            return trial.always_rescored()
        return replace(trial, bar=self._bar)

    @property
    def _bar(self) -> float:
        """The worst score that is computed again, in processes that the genome never touched, before it counts.

        Whoever would enter the population, by the cut of now and a margin, because the cut may have moved when the
        trial ends.
        """
        margin = MARGIN * self.estimates.noise.sd if self.estimates.measured else 0.0
        return self.cut - margin * float(self.seed_individual.fitness.weights[0])

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

    def tell(self, outcome: Outcome) -> tuple[Individual, Outcome]:
        """Archive an outcome, then let selection see it; returns its individual, and it as it was archived."""
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
        return individual, outcome

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
        if not self.born_out:
            return self._replicate() or self._breed()
        unconfirmed = self._unconfirmed()
        if self._running:
            # The last births still train, and an idle neighbour would flatter them. Whoever turns out to be
            # the champion, the seed genome's fresh runs are needed: they go first.
            unconfirmed.sort(key=lambda pair: pair[0] != self.seed_individual.id)
        return unconfirmed[0] if unconfirmed else None

    def _replicate(self) -> Pair | None:
        full = len(self.population) == self.pop
        mu, individuals = self.pop if full else None, self.archive.individuals
        return self._replication.due(
            individuals, self.estimates, mu, self._children, self._running, self.evaluations - self._void
        )

    def _unconfirmed(self) -> list[Pair]:
        """The runs that are neither done nor under way, of those that confirm the champion."""
        individuals, seed = self.archive.individuals, self.seed_individual.id
        pairs = outstanding(self.searched, self.estimates, individuals, self._confirm, seed)
        return [pair for pair in pairs if pair not in self._running]

    def _take(self, individual: Individual, outcome: Outcome) -> None:
        self.evaluations += 1
        new = outcome.counts and individual.id not in self._evaluated
        self._disturbance.take(outcome)
        self._void += not outcome.counts
        if outcome.counts:
            self._evaluated.add(individual.id)
            self._replication.take(individual, outcome)
        if outcome.replicate < CHOICE:
            self.spending.take(outcome)
        if outcome.fresh:
            self._fresh[individual.id] = individual
        if self.racing is not None:
            self.racing.take(individual, outcome, self.cut)
        for estimates in (self.searched, self.estimates):
            estimates.take(individual.id, outcome.replicate, outcome.score, pace_of(outcome))
        children = len(self._evaluated) - 1
        if new and children and children % self.pop == 0 and self.estimates.measured:
            self.logbook.record(
                gen=children // self.pop,
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


def search(evolution: Work, executor: Executor, workers: int, monitor: Monitor, stop: Stop) -> None:
    """Keep `workers` trials running until the plan is done or the user stops it.

    Every outcome is told before the next trial is asked for, in birth order where several are ready at
    once, so that one worker and a deterministic evaluator give the same search twice. An immediate stop
    shuts the executor down; trials that it ends are forgotten, to be run again by the next engine.
    """
    with evolution.archive.gathering():
        _steady_state(evolution, executor, workers, monitor, stop)


def _steady_state(evolution: Work, executor: Executor, workers: int, monitor: Monitor, stop: Stop) -> None:
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
        evolution.archive.settle_if_due()
        if running:
            done, _ = wait(running, timeout=0.25, return_when=FIRST_COMPLETED)
            # `wait` does not count those that were cancelled before a worker took them.
            done |= {future for future in running if future.cancelled()}
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
            monitor.told(*evolution.tell(outcome))
        for trial in running.values():
            beat = heartbeat.read(trial.folder) if evolution.racing is not None else None
            if beat is not None and (why := evolution.race(trial, beat.curve)) is not None:
                cancel(trial.folder, why)
        monitor.tick()
