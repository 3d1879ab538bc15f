"""Taking steps out of a genome again, and nothing else: the statement merge run backwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evolve.individual import Individual, Offspring
from evolve.llm.memory import touched
from evolve.variation.merge import merge
from evolve.variation.source import Unparsable, normalise

Step = tuple[Individual, Individual]  # parent, child


@dataclass(frozen=True)
class Removal:
    """A genome without some steps; what conflicts is in it as the genome had it."""

    text: str
    # Of steps, by the id of the child: paths of statements that were changed again later, or why the step stays.
    conflicts: dict[int, tuple[str, ...]]


def without(genome: str, steps: Sequence[Step]) -> Removal:
    """Take the steps out of a genome that has them, the latest first.

    What a step changed from A to B and a later one from B to C is a conflict and stays C, unless the later one is
    taken out, too.
    """
    text = normalise(genome)
    conflicts: dict[int, tuple[str, ...]] = {}
    for parent, child in reversed(steps):
        try:
            merged = merge(normalise(child.genome), text, normalise(parent.genome))
        except Unparsable as error:
            conflicts[child.id] = (f"not Python: {error}",)
            continue
        if merged.conflicts:
            conflicts[child.id] = tuple(dict.fromkeys(conflict.path for conflict in merged.conflicts))
        text = merged.text
    return Removal(text, conflicts)


def changed_again(step: Step, steps: Sequence[Step], conflicts: Sequence[str]) -> list[Individual]:
    """The later of the steps that touched statements in which taking out `step` conflicts."""
    later = steps[steps.index(step) + 1 :]
    return [child for parent, child in later if touched(parent.genome, child.genome).keys() & set(conflicts)]


def offspring_without(origin: Individual, steps: Sequence[Step], text: str, operator: str, idea: str) -> Offspring:
    """The derived individual that `origin` without these steps is."""
    removed = [child.commit for _, child in steps]
    body = "\n".join(["Without:", *(f"- {child.name} {child.idea}" for _, child in steps)])
    box = {} if origin.time_box is None else {"time_box": origin.time_box}
    return Offspring(
        text,
        (origin.id,),
        operator,
        idea,
        origin.generation + 1,
        body=body,
        derivation={"without": removed} | box,
    )
