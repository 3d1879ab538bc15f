"""From the archive to a prompt's facts: what a parent measured, where it comes from, what was tried on it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from evolve.archive.repository import Archive
from evolve.arena import Arena
from evolve.individual import Individual, Outcome, Status
from evolve.llm.context import Context, Elite, Measured, Step
from evolve.llm.memory import Memory, unified
from evolve.variation.ancestry import merge_bases

LINEAGE = 12  # latest ancestors told; the prompt's own bound may leave out more
TRIED = 16  # latest attempts told
RELATED = 4  # of these, how many at least may be other parents' children
ELITES = 3
TAIL_LINES = 12
CONFIRMED = 2.0  # standard errors that a gain has to be away from zero


def brief(
    archive: Archive,
    population: Sequence[Individual],
    parent: Individual,
    intent: str,
    arena: Arena,
    program: str,
    memory: Memory | None = None,
) -> Context:
    """What a mutation's prompt tells of `parent`; `program` is the user's own direction, or empty.

    `population` is best first. `memory`: one that the caller keeps, so that edits are read once; it is
    refreshed here. Parents must be measured.
    """
    memory = memory or Memory(archive)
    memory.refresh()
    return Context(
        source=parent.genome,
        measured=_measured(archive, parent),
        task=arena.task or _task(arena),
        contract=arena.contract or _contract(arena),
        intent=intent,
        metric=arena.metric,
        program=program,
        lineage=_lineage(archive, parent, memory),
        tried=[*_heard(archive, parent), *(attempt(archive, one, memory) for one in _tried(archive, parent, memory))],
        elites=_elites(archive, population, parent),
    )


def attempt(archive: Archive, individual: Individual, memory: Memory) -> Step:
    """One individual as its idea, what came of it, and its edit; a failure with the last lines it printed."""
    idea, diff = individual.idea, memory.diff(individual)
    if not individual.searched:
        return Step(idea, verdict="being measured", diff=diff)
    if not individual.fitness.measured:
        runs = zip(individual.outcomes, archive.curves(individual), strict=True)
        last, detail = [run for run in runs if not run[0].fresh][-1]
        tail = str(detail["tail"]).splitlines()[-TAIL_LINES:]
        return Step(idea, verdict=last.status.replace("_", " "), diff=diff, reason=last.reason, tail="\n".join(tail))
    gain, stderr = _gain(individual, archive.individuals[individual.parents[0]])
    return Step(idea, gain, stderr, verdict(gain, stderr), diff)


def verdict(gain: float | None, stderr: float | None) -> str:
    """How far a gain may be believed. A single run on either side has no noise that could be compared with."""
    if gain is None:
        return ""
    if stderr is None:
        return "unconfirmed, single runs"
    if abs(gain) <= CONFIRMED * stderr:
        return "within noise"
    return "gain beyond noise" if gain > 0 else "loss beyond noise"


def _gain(one: Individual, origin: Individual) -> tuple[float | None, float | None]:
    """Gain over a parent and its standard error, each None where it is not known."""
    if not (one.fitness.measured and origin.fitness.measured):
        return None, None
    stderr = math.hypot(one.fitness.stderr, origin.fitness.stderr)
    return one.fitness.gain_over(origin.fitness), stderr if math.isfinite(stderr) else None


def _measured(archive: Archive, parent: Individual) -> Measured:
    done = [outcome for outcome in parent.outcomes if outcome.status is Status.OK]
    curves = [
        one["curve"]
        for one, outcome in zip(archive.curves(parent), parent.outcomes, strict=True)
        if outcome.status is Status.OK
    ]
    fitness = parent.fitness
    return Measured(
        Status.OK.value,
        fitness.mean,
        fitness.stderr if math.isfinite(fitness.stderr) else None,
        fitness.count,
        memory_mb=_mean([outcome.peak_memory_mb for outcome in done]),
        steps=_whole(_mean([outcome.steps for outcome in done])),
        tokens_per_second=_mean([_speed(outcome) for outcome in done]),
        parameters=_whole(_mean([outcome.parameters for outcome in done])),
        seconds=_mean([outcome.seconds.get("training") for outcome in done]),
        curve=[(progress, loss) for progress, loss in (curves[-1] if curves else []) if math.isfinite(loss)],
    )


def _speed(outcome: Outcome) -> float | None:
    seconds = outcome.seconds.get("training", 0.0)
    return outcome.tokens / seconds if outcome.tokens is not None and seconds > 0 else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _lineage(archive: Archive, parent: Individual, memory: Memory) -> list[Step]:
    ancestors = archive.lineage(parent)
    if len(ancestors) == 1:
        return []
    latest = ancestors[1:][-LINEAGE:]
    return [attempt(archive, one, memory) for one in latest]


def _tried(archive: Archive, parent: Individual, memory: Memory) -> list[Individual]:
    """Children of the parent, and others that touched the statements of its own edit or of its children's."""
    children = [archive.individuals[id] for id, ids in archive.parents.items() if parent.id in ids]
    paths = dict(memory.touched_by(parent))
    for child in children[-TRIED:]:
        paths |= memory.touched_by(child)
    known = {one.id for one in [*children, *archive.lineage(parent)]}
    others = [one for one in memory.on(paths) if one.id not in known]
    related = others[-max(RELATED, TRIED - len(children)) :]
    return sorted([*children[-(TRIED - len(related)) :], *related], key=lambda one: one.id)


def _heard(archive: Archive, parent: Individual) -> list[Step]:
    """Ideas that were tried on the parent and its ancestors before the archive began, without their genomes."""
    told = []
    for one in archive.lineage(parent):
        for idea in archive.ideas(one):
            score, gain = idea.get("score"), None
            if score is not None and one.fitness.measured:
                gain = (one.fitness.mean - score) * -one.fitness.weights[0]
            told.append(Step(str(idea["idea"]), gain, None, str(idea.get("status", ""))))
    return told[-TRIED:]


def _elites(archive: Archive, population: Sequence[Individual], parent: Individual) -> list[Elite]:
    """Others of the population that are no ancestors of the parent, each with its diff from a common ancestor."""
    elites: list[Elite] = []
    for one in population:
        if len(elites) == ELITES:
            break
        bases = merge_bases(archive.parents, parent.id, one.id) if one is not parent else []
        if not bases or bases[0] == one.id:
            continue
        stderr = one.fitness.stderr if math.isfinite(one.fitness.stderr) else None
        diff = unified(archive.individuals[bases[0]].genome, one.genome)
        elites.append(Elite(one.idea, one.fitness.mean, stderr, diff))
    return elites


def _task(arena: Arena) -> str:
    """For an arena that describes no task."""
    aim = "lower" if arena.direction == "min" else "higher"
    return (
        f"Change the script so that its {arena.metric} gets better ({aim} is better) in a time box of "
        f"{arena.time_box:g} s on {'a GPU' if arena.device == 'cuda' else 'the CPU'}."
    )


def _contract(arena: Arena) -> str:
    """For an arena that describes no contract."""
    reported = (
        "reports its score through the calls that are in it; keep these calls and their order"
        if arena.score == "harness"
        else f"prints a line '{arena.metric}: <number>' at its end; keep that line and how its number is computed"
    )
    alone = "It must not need other files or packages."
    return f"The script is one file, {arena.script}, run as it is. It {reported}. {alone}"
