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
    """A genome without some steps. With conflicts, it is not to be used: what is left there would be a guess."""

    text: str
    conflicts: tuple[str, ...]  # paths of statements that were changed again later, or why it cannot be done at all


def without(genome: str, steps: Sequence[Step]) -> Removal:
    """Take the steps out of a genome that has them, the latest first.

    What a step changed from A to B and a later one from B to C is a conflict, unless the later one is taken
    out, too.
    """
    text = normalise(genome)
    conflicts: list[str] = []
    for parent, child in reversed(steps):
        try:
            merged = merge(normalise(child.genome), text, normalise(parent.genome))
        except Unparsable as error:
            conflicts.append(f"not Python: {error}")
            continue
        conflicts += [conflict.path for conflict in merged.conflicts]
        text = merged.text
    return Removal(text, tuple(dict.fromkeys(conflicts)))


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
