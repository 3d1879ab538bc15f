"""`evolve replay`: every ancestor again on fresh seeds, what was claimed against what comes back."""

from __future__ import annotations

from dataclasses import dataclass

from evolve.archive.repository import Archive
from evolve.arena import Direction
from evolve.individual import Individual, Status
from evolve.lineages.paired import Effect, Interval, Paired, share
from evolve.lineages.steps import REPLAY, REPLICATES, blocks, check_replicates, outcomes_of, scores_of, steps_of
from evolve.measuring import Workplace


@dataclass(frozen=True)
class ReplayedStep:
    """One ancestor: what the search claimed of it, and what its replays say. Scores are in the metric's unit."""

    individual: int
    name: str  # as a user calls it: '#12'
    commit: str
    idea: str
    operator: str
    merged: str | None  # the second parent's name
    claimed: float | None  # mean score of the search's runs
    claimed_gain: float | None  # over the ancestor before; None for the first
    replayed: Interval | None  # mean score; None where no replay gave one
    failures: tuple[str, ...]  # how replays failed
    gain: Effect | None  # over the ancestor before, paired by seed; None for the first
    share: float | None  # of the total gain; None where that is within noise


@dataclass(frozen=True)
class Replay:
    """A lineage, seed genome first, claimed against replayed."""

    individual: int
    name: str
    metric: str
    direction: str  # "min" or "max"
    time_box: float  # seconds
    steps: tuple[ReplayedStep, ...]
    claimed: float | None  # total gain
    total: Effect  # replayed gain of the last over the first
    noise: float  # standard deviation of one run beside others on its seed; NaN where unknown
    other_tokens: bool  # claims and replays were scored on different validation tokens
    replicates: int  # replays of each that there are, at least
    missing: int  # evaluations that were asked for and are not done


def replay(place: Workplace, ref: str, replicates: int = REPLICATES) -> Replay:
    """See to it that every ancestor of `ref` has so many replays, and tell what they say.

    What is archived already is not run again, so that a call that was interrupted goes on. Raises UserError.
    """
    check_replicates(replicates)
    individual = place.archive.resolve(ref)
    steps = steps_of(place.archive, individual)
    line = [steps[0][0], *(child for _, child in steps)]
    place.measure(blocks(line, REPLAY, replicates))
    return replayed(place.archive, ref, replicates)


def replayed(archive: Archive, ref: str, replicates: int = 0) -> Replay:
    """What the archive's replays say of the lineage of `ref`; nothing is run. Raises UserError.

    `replicates`: so many were asked for.
    """
    individual, state = archive.resolve(ref), archive.read_state()
    steps = steps_of(archive, individual)
    line = [steps[0][0], *(child for _, child in steps)]
    paired = Paired(scores_of(line, REPLAY), Direction(state["direction"]))
    total = paired.gain(line[0].id, individual.id)
    rows = [_row(archive, paired, None, line[0], total), *(_row(archive, paired, a, b, total) for a, b in steps)]
    runs = [len(outcomes_of(one, REPLAY)) for one in line]
    return Replay(
        individual.id,
        individual.name,
        state["metric"],
        state["direction"],
        individual.time_box or float(state["time_box"]),
        tuple(rows),
        claimed_gain(line[0], individual),
        total,
        paired.noise.sd,
        any(run.trusted for one in line for run in one.outcomes),
        min(runs),
        sum(max(0, replicates - count) for count in runs),
    )


def claimed_gain(before: Individual, after: Individual) -> float | None:
    """The gain that the search's runs show; None where either was not measured by them."""
    if not (before.fitness.measured and after.fitness.measured):
        return None
    return after.fitness.gain_over(before.fitness)


def _row(
    archive: Archive, paired: Paired[int], before: Individual | None, one: Individual, total: Effect
) -> ReplayedStep:
    gain = None if before is None else paired.gain(before.id, one.id)
    merged = archive.everyone[one.parents[1]].name if len(one.parents) > 1 else None
    return ReplayedStep(
        one.id,
        one.name,
        one.commit,
        one.idea,
        one.operator,
        merged,
        one.fitness.mean if one.fitness.measured else None,
        None if before is None else claimed_gain(before, one),
        paired.mean(one.id),
        tuple(run.status.value for run in outcomes_of(one, REPLAY) if run.status is not Status.OK),
        gain,
        None if gain is None else share(gain, total),
    )
