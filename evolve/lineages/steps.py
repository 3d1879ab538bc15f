"""The steps of a lineage, and which replicates an operation on it goes by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from evolve.archive.repository import Archive
from evolve.confirmation import Pair
from evolve.errors import UserError
from evolve.individual import STUDY, Individual, Outcome

# Every operation has replicates of its own, so that what is compared ran in the same hour, and on fresh seeds.
REPLAY = STUDY
ABLATION = STUDY + 1000
TRANSFER = STUDY + 2000
PRUNING = 10_000  # a candidate of a pruning and its origin: MOST numbers for each candidate
MOST = 1000  # runs of one individual in one operation
CHECK = MOST // 2  # within a candidate's numbers: from here on are those of the check of what a pruning gives
REPLICATES = 4


def check_replicates(replicates: int, most: int = MOST - 1) -> None:
    """Raises UserError where the number of runs is none that an operation can do."""
    if not 2 <= replicates <= most:
        raise UserError(f"--replicates {replicates} must be a whole number from 2 to {most}.")


def operation_of(replicate: int) -> str:
    """What a replicate of an operation on a lineage was for: "replay", "ablation", "transfer", "pruning" or "check".

    The last one is of what a pruning gives, on seeds that it was not chosen by.
    """
    if replicate >= PRUNING:
        return "check" if replicate % MOST >= CHECK else "pruning"
    return "transfer" if replicate >= TRANSFER else "ablation" if replicate >= ABLATION else "replay"


def path_to(archive: Archive, individual: Individual) -> list[Individual]:
    """From the seed genome (or the base of a transfer) to `individual` along first parents.

    It begins where the time box last changed, because scores of two boxes do not compare.
    """
    line = archive.lineage(individual)
    boxes = [one.time_box for one in line]
    begin = max((place for place in range(1, len(line)) if boxes[place] != boxes[place - 1]), default=0)
    return line[begin:]


def steps_of(archive: Archive, individual: Individual) -> list[tuple[Individual, Individual]]:
    """The (parent, child) pairs of `path_to`. A merge is one step: what came in beside the first parent.

    Raises UserError where there is no step.
    """
    line = path_to(archive, individual)
    if len(line) < 2:
        kind = "the seed genome" if not individual.parents else "the base of a transfer"
        raise UserError(f"{individual.name} is {kind}: it has no steps. Name one of its descendants.")
    return list(pairwise(line))


def blocks(individuals: Sequence[Individual], first: int, count: int) -> list[Pair]:
    """`count` runs of each from replicate `first` on, a block of all of them after the other."""
    return [(one.id, first + k) for k in range(count) for one in individuals]


def outcomes_of(individual: Individual, first: int, most: int = MOST) -> list[Outcome]:
    """The individual's outcomes that count, of the operation whose `most` replicates begin at `first`."""
    return [one for one in individual.studies if one.counts and first <= one.replicate < first + most]


def scores_of(individuals: Sequence[Individual], first: int, most: int = MOST) -> Mapping[int, Mapping[int, float]]:
    """By id the scores by replicate, of the operation whose `most` replicates begin at `first`."""
    return {
        one.id: {run.replicate: run.score for run in outcomes_of(one, first, most) if run.score is not None}
        for one in individuals
    }
