"""Operators that need no language model: catalogue mutation, and crossover by the statement merge."""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from pathlib import Path

from evolve.errors import UserError
from evolve.individual import Individual, Offspring
from evolve.metadata import merge_metadata, metadata
from evolve.variation.ancestry import Parents, merge_bases
from evolve.variation.catalogue import Constant, constants, mutate_constants, random_value, substitute
from evolve.variation.merge import Conflict, Merge, Resolve, merge
from evolve.variation.merge_driver import CannotMerge, git_merge
from evolve.variation.source import Unparsable, normalise


class Reason(enum.StrEnum):
    """Why an operator has no offspring to give. None of them costs a time box."""

    ANCESTOR = "ancestor"  # one parent descends from the other
    UNRELATED = "unrelated"  # the parents have no common ancestor
    NO_OP = "no-op"  # the result equals a parent
    NO_CONSTANTS = "no constants"  # nothing is annotated for the catalogue
    ANNOTATION = "annotation"  # an annotation of a constant cannot be read
    UNPARSABLE = "unparsable"  # a genome is not Python
    ARCHIVED = "archived"  # the same genome was made before


class Inapplicable(Exception):  # noqa: N818 - an ordinary answer, no fault
    """An operator cannot be applied to these parents; try others."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail


def catalogue_mutation(parent: Individual, rng: random.Random) -> Offspring:
    """Change one to three annotated constants of the parent. Raises Inapplicable."""
    genome, declared = _tunable(parent)
    text, idea = mutate_constants(genome, declared, rng)
    return Offspring(text, (parent.id,), "catalogue", idea, parent.generation + 1)


def random_settings(parent: Individual, rng: random.Random) -> Offspring:
    """Draw every annotated constant anew, whatever the parent's: random search. Raises Inapplicable."""
    genome, declared = _tunable(parent)
    values = {constant.name: random_value(constant, rng) for constant in declared}
    text = substitute(genome, values)
    idea = "Draw all constants at random: " + ", ".join(f"{name} {value}" for name, value in values.items())
    return Offspring(text, (parent.id,), "random", idea, parent.generation + 1)


def _tunable(parent: Individual) -> tuple[str, list[Constant]]:
    """The parent's text and its annotated constants. Raises Inapplicable where it has none that can be read."""
    genome = normalise(parent.genome)
    try:
        declared = constants(genome)
    except Unparsable as error:
        raise Inapplicable(Reason.UNPARSABLE, str(error)) from error
    except UserError as error:
        raise Inapplicable(Reason.ANNOTATION, str(error)) from error
    if not declared:
        raise Inapplicable(Reason.NO_CONSTANTS, f"individual {parent.id}")
    return genome, declared


def crossover(
    fitter: Individual,
    other: Individual,
    *,
    parents: Parents,
    genome_of: Callable[[int], str],
    repository: Callable[[], Path],
    script: str,
    resolve: Resolve | None = None,
) -> Offspring:
    """Merge what two individuals did to their best common ancestor; conflicts take the fitter one's text.

    Has the tree of a `git merge` of the two commits in a repository with the merge driver. A pair with
    several best common ancestors is merged by git in what `repository` gives, where `script` is the genome's file,
    and is the only kind that needs the two; `resolve` (see merge.merge) is asked about conflicts of any other.
    Raises Inapplicable.
    """
    bases = merge_bases(parents, fitter.id, other.id)
    if not bases:
        raise Inapplicable(Reason.UNRELATED, f"individuals {fitter.id} and {other.id}")
    if bases[0] in (fitter.id, other.id):
        raise Inapplicable(Reason.ANCESTOR, f"individuals {fitter.id} and {other.id}")
    ours, theirs = fitter.genome, other.genome
    try:
        if len(bases) == 1:
            merged = merge(genome_of(bases[0]), ours, theirs, resolve)
        else:
            merged = Merge(git_merge(repository(), fitter.commit, other.commit)[script], ())
    except (Unparsable, CannotMerge) as error:
        raise Inapplicable(Reason.UNPARSABLE, str(error)) from error
    if merged.text in (ours, theirs):
        raise Inapplicable(Reason.NO_OP, f"the merge of {fitter.id} and {other.id} equals a parent")
    fields = merge_metadata(metadata(fitter), metadata(other))
    return Offspring(
        normalise(merged.text),
        (fitter.id, other.id),
        fields["operator"],
        fields["description"],
        fields["generation"],
        body=_told(merged.conflicts),
    )


def _told(conflicts: tuple[Conflict, ...]) -> str:
    """The commit's body: where the parents excluded each other, and whose text stands there."""
    if not conflicts:
        return ""
    lines = [
        f"- {conflict.path}: {'the fitter parent' if conflict.chosen == conflict.ours else 'resolved'}"
        for conflict in conflicts
    ]
    return "\n".join(["Conflicts:", *lines])
