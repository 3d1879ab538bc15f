"""`evolve prune`: drop the steps that do not carry their weight; the smallest genome within noise of REF."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evolve.archive.repository import Archive
from evolve.arena import Direction
from evolve.confirmation import Pair
from evolve.individual import DERIVED, Individual, Offspring
from evolve.lineages.ablate import Extent, Plan, ablate, plans
from evolve.lineages.paired import Effect, Paired, Verdict
from evolve.lineages.removal import Step, offspring_without, without
from evolve.lineages.steps import (
    ABLATION,
    CHECK,
    MOST,
    PRUNING,
    REPLICATES,
    blocks,
    check_replicates,
    scores_of,
    steps_of,
)
from evolve.llm.memory import unified
from evolve.measuring import Workplace

OPERATOR = "prune"
CHECK_RUNS = 2  # a check has so many times the runs of a round
GOES = (Verdict.REAL, Verdict.NOISE, Verdict.NEEDED)  # of what is left over REF: where the step may go


class Fate(enum.StrEnum):
    """What becomes of a step."""

    DROPPED = "dropped"
    PART = "dropped in part"  # what steps that stay have changed again stays, too
    REAL = "kept: it matters"  # the ablation of it alone says so
    HARM = "kept: the rest needs it"  # without it and what was dropped before, REF is beyond noise
    CONFLICT = "kept: in conflict"  # steps that stay have changed again all that is left of it
    EMPTY = "nothing left"  # later steps undid or replaced it
    UNDECIDED = "undecided"  # runs are missing, or too few


@dataclass(frozen=True)
class PrunedStep:
    """A step of the lineage and what became of it."""

    individual: int
    name: str
    commit: str
    idea: str
    fate: Fate
    gain: Effect | None  # of REF without it and without all dropped before it, over REF; None where not measured


@dataclass(frozen=True)
class Pruning:
    """REF without the steps that do not carry their weight."""

    individual: int
    name: str
    metric: str
    steps: tuple[PrunedStep, ...]
    pruned: str | None  # name of the smallest genome within noise; None where no step can go, or runs are missing
    commit: str | None
    branch: str | None
    gain: Effect | None  # of the pruned genome over REF, on seeds that it was not chosen by
    size: tuple[int, int]  # changed lines against the first of the lineage: REF's, the pruned genome's
    diff: str  # the pruned genome against the first of the lineage
    noise: float
    finished: bool


Measure = Callable[[Sequence[Pair]], bool]


class _Missing(Exception):  # noqa: N818
    """Runs are missing that the next decision needs."""


def prune(place: Workplace, ref: str, replicates: int = REPLICATES) -> Pruning:
    """Ablate, then drop steps one after the other while the rest stays within noise of REF, then check the result.

    The pruned genome becomes the branch `pruned/<id of REF>`. What is archived already is not run again. Raises
    UserError.
    """
    check_replicates(replicates, CHECK // CHECK_RUNS)
    individual = place.archive.resolve(ref)
    ablate(place, ref, replicates)
    elimination = _Elimination(place.archive, individual, replicates, place.archive.derive, place.measure)
    result = elimination.result()
    if result.pruned is not None and result.branch is not None:
        place.archive.set_branch(result.branch, place.archive.resolve(result.pruned))
    return result


def pruned(archive: Archive, ref: str, replicates: int = REPLICATES) -> Pruning:
    """What the archive's runs say of pruning `ref` with so many runs of each; nothing is run. Raises UserError."""
    individual = archive.resolve(ref)

    def found(offspring: Offspring) -> Individual:
        one = archive.find_derived(offspring)
        if one is None:
            raise _Missing
        return one

    def done(pairs: Sequence[Pair]) -> bool:
        return all(replicate in archive.everyone[id].studied for id, replicate in pairs)

    return _Elimination(archive, individual, replicates, found, done).result()


class _Elimination:
    """Backward elimination, each decision a function of the runs in the archive."""

    def __init__(
        self,
        archive: Archive,
        origin: Individual,
        replicates: int,
        derive: Callable[[Offspring], Individual],
        measure: Measure,
    ) -> None:
        self._archive = archive
        self._origin = origin
        self._replicates = replicates
        self._derive = derive
        self._measure = measure
        self._direction = Direction(archive.read_state()["direction"])
        self._steps = steps_of(archive, origin)
        self._plans = {plan.step[1].id: plan for plan in plans(archive, origin)}
        self._runs: dict[tuple[int, int], dict[int, float]] = {}  # by first replicate and individual
        self._fates: dict[int, Fate] = {}
        self._gains: dict[int, Effect] = {}
        self._dropped: list[Step] = []
        self._gain: Effect | None = None
        self._candidate: Individual | None = None

    def result(self) -> Pruning:
        finished = True
        try:
            self._judge_alone()
            self._eliminate()
            self._check()
        except _Missing:
            finished = False
        final = self._candidate if finished else None
        first = self._steps[0][0]
        return Pruning(
            self._origin.id,
            self._origin.name,
            self._archive.read_state()["metric"],
            tuple(self._row(step) for step in self._steps),
            None if final is None else final.name,
            None if final is None else final.commit,
            None if final is None else f"pruned/{self._origin.name.removeprefix('#')}",
            self._gain if finished else None,
            (_size(first, self._origin), _size(first, final or self._origin)),
            unified(first.genome, (final or self._origin).genome),
            self._paired().noise.sd,
            finished,
        )

    def _row(self, step: Step) -> PrunedStep:
        child = step[1]
        fate = self._fates.get(child.id, Fate.UNDECIDED)
        return PrunedStep(child.id, child.name, child.commit, child.idea, fate, self._gains.get(child.id))

    def _judge_alone(self) -> None:
        """What the ablation says: who stays, who is tried, who has nothing to take out."""
        single = {
            id: one
            for id, plan in self._plans.items()
            if plan.offspring is not None and (one := self._archive.find_derived(plan.offspring)) is not None
        }
        wanted = [plan for plan in self._plans.values() if plan.offspring is not None]
        together = [self._origin, *single.values()]
        if len(single) < len(wanted) or not self._measured(together, ABLATION, self._replicates):
            raise _Missing
        self._take(together, ABLATION)
        paired = self._paired()
        for id, plan in self._plans.items():
            if id in single:
                gain = paired.gain((ABLATION, self._origin.id), (ABLATION, single[id].id))
                self._gains[id] = gain
                if gain.verdict not in GOES:
                    self._fates[id] = Fate.UNDECIDED if gain.verdict is Verdict.UNKNOWN else Fate.REAL
            elif plan.extent is Extent.NOTHING:
                self._fates[id] = Fate.EMPTY

    def _eliminate(self) -> None:
        """Try to drop those that contribute least first; those in conflict again when others are gone."""
        waiting = sorted(
            (plan for id, plan in self._plans.items() if id not in self._fates),
            key=lambda plan: (-_value(self._gains.get(plan.step[1].id)), -plan.step[1].id),
        )
        progress = True
        while progress:
            progress = False
            for plan in list(waiting):
                fate = self._try(plan)
                if fate is Fate.CONFLICT:
                    continue
                self._fates[plan.step[1].id] = fate
                waiting.remove(plan)
                progress = progress or fate is Fate.DROPPED
        for plan in waiting:
            self._fates[plan.step[1].id] = Fate.CONFLICT

    def _try(self, plan: Plan) -> Fate:
        """Drop a step besides those dropped before, if what is left stays within noise of the origin."""
        steps = self._in_order([*self._dropped, plan.step])
        removal = without(self._origin.genome, steps)
        before = without(self._origin.genome, self._in_order(self._dropped))
        if removal.text == before.text and plan.step[1].id in removal.conflicts:
            return Fate.CONFLICT
        if self._dropped and removal.text != before.text:  # the first one is judged by the ablation alone
            candidate = self._derived(steps, removal.text)
            gain = self._compare(candidate, PRUNING + MOST * (candidate.id - DERIVED), self._replicates)
            self._gains[plan.step[1].id] = gain
            if gain.verdict not in GOES:
                return Fate.UNDECIDED if gain.verdict is Verdict.UNKNOWN else Fate.HARM
        self._dropped.append(plan.step)
        return Fate.DROPPED

    def _check(self) -> None:
        """Compare what is left with the origin on fresh seeds; put back what was dropped last while it is worse."""
        while self._dropped:
            steps = self._in_order(self._dropped)
            removal = without(self._origin.genome, steps)
            candidate = self._derived(steps, removal.text)
            first = PRUNING + MOST * (candidate.id - DERIVED) + CHECK
            gain = self._compare(candidate, first, CHECK_RUNS * self._replicates)
            if gain.verdict in GOES:
                self._candidate, self._gain = candidate, gain
                self._fates.update(dict.fromkeys(removal.conflicts, Fate.PART))
                return
            last = self._dropped.pop()[1].id
            self._fates[last], self._gains[last] = Fate.HARM, gain

    def _compare(self, candidate: Individual, first: int, count: int) -> Effect:
        """The candidate's gain over the origin, on `count` seeds from replicate `first` on."""
        if not self._measured([self._origin, candidate], first, count):
            raise _Missing
        self._take([self._origin, candidate], first)
        return self._paired().gain((first, self._origin.id), (first, candidate.id))

    def _measured(self, individuals: Sequence[Individual], first: int, count: int) -> bool:
        return self._measure(blocks(individuals, first, count))

    def _take(self, individuals: Sequence[Individual], first: int) -> None:
        for id, scores in scores_of(individuals, first, CHECK).items():
            self._runs[first, id] = dict(scores)

    def _paired(self) -> Paired[tuple[int, int]]:
        """All rounds in one layout: they share no seed, but the noise."""
        return Paired(self._runs, self._direction)

    def _in_order(self, steps: Sequence[Step]) -> list[Step]:
        return [step for step in self._steps if step in steps]

    def _derived(self, steps: Sequence[Step], text: str) -> Individual:
        names = ", ".join(child.name for _, child in steps)
        idea = f"Prune {len(steps)} of {len(self._steps)} steps: without {names}"
        return self._derive(offspring_without(self._origin, steps, text, OPERATOR, idea))


def _value(gain: Effect | None) -> float:
    """How much is gained by dropping a step alone; least of all where that is not known."""
    return -math.inf if gain is None or math.isnan(gain.value) else gain.value


def _size(before: Individual, after: Individual) -> int:
    """Lines of a diff that are added or removed."""
    return sum(line[:1] in "+-" for line in unified(before.genome, after.genome).splitlines())
