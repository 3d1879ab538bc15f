"""`evolve ablate`: each step alone taken out of the end of its lineage, what it contributes there."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from evolve.archive.repository import Archive
from evolve.arena import Direction
from evolve.individual import Individual, Offspring
from evolve.lineages.paired import Effect, Interval, Paired
from evolve.lineages.removal import Step, changed_again, offspring_without, without
from evolve.lineages.steps import (
    ABLATION,
    REPLICATES,
    blocks,
    check_replicates,
    outcomes_of,
    scores_of,
    steps_of,
)
from evolve.measuring import Workplace

OPERATOR = "ablation"


class Extent(enum.StrEnum):
    """How much of a step can be taken out of the end of its lineage alone."""

    WHOLE = "whole"
    PART = "in part"  # some of its statements were changed again later, and stay as they are
    CONFLICT = "conflict"  # all that is left of it was changed again later
    NOTHING = "nothing left"  # later steps undid or replaced it


@dataclass(frozen=True)
class AblatedStep:
    """A step of the lineage, and REF without it. Scores are in the metric's unit."""

    individual: int  # the step's child
    name: str
    commit: str
    idea: str
    operator: str
    ablated: str | None  # name of REF without the step; None where there is no such genome in the archive
    extent: Extent
    conflicts: tuple[str, ...]  # statements in which the step alone cannot be taken out
    changed_by: tuple[str, ...]  # names of the later steps that changed these again
    score: Interval | None  # of REF without it
    failures: tuple[str, ...]  # how its runs failed
    gain: Effect | None  # what the step contributes: REF's advantage over REF without it, paired by seed


@dataclass(frozen=True)
class Ablation:
    """What each step of a lineage contributes in the end."""

    individual: int
    name: str
    metric: str
    direction: str  # "min" or "max"
    time_box: float  # seconds
    score: Interval | None  # of REF
    steps: tuple[AblatedStep, ...]
    noise: float  # standard deviation of one run beside others on its seed; NaN where unknown
    replicates: int  # runs of each that there are, at least
    missing: int  # evaluations that were asked for and are not done


@dataclass(frozen=True)
class Plan:
    """A step and what taking it out gives."""

    step: Step
    conflicts: tuple[str, ...]
    offspring: Offspring | None  # None: there is nothing that could be taken out

    @property
    def extent(self) -> Extent:
        if self.offspring is None:
            return Extent.CONFLICT if self.conflicts else Extent.NOTHING
        return Extent.PART if self.conflicts else Extent.WHOLE


def ablate(place: Workplace, ref: str, replicates: int = REPLICATES) -> Ablation:
    """See to it that `ref` without each of its steps has so many runs beside it, and tell what they say.

    What is archived already is not run again. Raises UserError.
    """
    check_replicates(replicates)
    individual = place.archive.resolve(ref)
    single = [place.archive.derive(one.offspring) for one in plans(place.archive, individual) if one.offspring]
    place.measure(blocks([individual, *single], ABLATION, replicates))
    return ablated(place.archive, ref, replicates)


def ablated(archive: Archive, ref: str, replicates: int = 0) -> Ablation:
    """What the archive's ablations of `ref` say; nothing is run. Raises UserError.

    `replicates`: so many were asked for.
    """
    individual, state = archive.resolve(ref), archive.read_state()
    planned = plans(archive, individual)
    found = [None if plan.offspring is None else archive.find_derived(plan.offspring) for plan in planned]
    measured = [individual, *(one for one in found if one is not None)]
    paired = Paired(scores_of(measured, ABLATION), Direction(state["direction"]))
    steps = [plan.step for plan in planned]
    runs = [len(outcomes_of(one, ABLATION)) for one in measured]
    return Ablation(
        individual.id,
        individual.name,
        state["metric"],
        state["direction"],
        individual.time_box or float(state["time_box"]),
        paired.mean(individual.id),
        tuple(_row(plan, one, individual, steps, paired) for plan, one in zip(planned, found, strict=True)),
        paired.noise.sd,
        min(runs),
        sum(max(0, replicates - count) for count in runs),
    )


def plans(archive: Archive, individual: Individual) -> list[Plan]:
    """What taking out each step alone gives. Raises UserError where there is no step."""
    result = []
    for step in steps_of(archive, individual):
        removal = without(individual.genome, [step])
        conflicts = removal.conflicts.get(step[1].id, ())
        offspring = None
        if removal.text != individual.genome:
            stays = f" (but for {', '.join(conflicts)})" if conflicts else ""
            idea = f"Without {step[1].name}{stays}: {step[1].idea}"
            offspring = offspring_without(individual, [step], removal.text, OPERATOR, idea)
        result.append(Plan(step, conflicts, offspring))
    return result


def _row(
    plan: Plan, one: Individual | None, individual: Individual, steps: Sequence[Step], paired: Paired[int]
) -> AblatedStep:
    child = plan.step[1]
    return AblatedStep(
        child.id,
        child.name,
        child.commit,
        child.idea,
        child.operator,
        None if one is None else one.name,
        plan.extent,
        plan.conflicts,
        tuple(later.name for later in changed_again(plan.step, steps, plan.conflicts)),
        None if one is None else paired.mean(one.id),
        () if one is None else tuple(run.status.value for run in outcomes_of(one, ABLATION) if run.score is None),
        None if one is None else paired.gain(one.id, individual.id),
    )
