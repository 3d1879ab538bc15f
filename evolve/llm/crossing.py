"""Crossover with a model: the statement merge first, and only what excludes itself is asked about, hunk by hunk."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import replace

from evolve.individual import Individual, Offspring
from evolve.llm.author import Conversation, NoRoom
from evolve.llm.context import figure
from evolve.llm.faults import ModelError
from evolve.llm.markdown import quote, quote_line
from evolve.llm.prompting import Prompts
from evolve.llm.rejection import Kind, ReplyRejected
from evolve.llm.replies import read_lines
from evolve.variation.merge import WHOLE_FILE, Conflict, Resolve
from evolve.variation.operators import Inapplicable

Mate = Callable[[Individual, Individual, Resolve], Offspring]


class Crossing:
    """Merges two parents, the fitter one first; what a model does not resolve is the fitter one's text."""

    def __init__(self, mate: Mate, prompts: Prompts, check: Callable[[str, str], None], base: Individual) -> None:
        """`base`: the parents' common ancestor. `check(child, parent)` raises ReplyRejected."""
        self._mate = mate
        self._prompts = prompts
        self._check = check
        self._base = base

    def __call__(self, conversation: Conversation) -> Offspring:
        """The merged offspring; its model is None where nothing was in conflict. Raises ReplyRejected."""
        fitter, other = conversation.job.parents
        hunks = _Hunks(conversation, self._prompts, self._base)
        try:
            offspring = self._mate(fitter, other, hunks.resolve)
        except Inapplicable as refusal:
            raise ReplyRejected(Kind.UNUSED, f"{refusal}.") from refusal
        self._check(offspring.genome, fitter.genome)
        if not conversation.draft.exchanges:
            return offspring
        return replace(
            offspring,
            model=conversation.job.arm.model,
            cost=conversation.draft.cost,
            body="\n".join([offspring.body, *hunks.ideas]),
        )


class _Hunks:
    """Asks about one conflict after another, until the endpoint fails or the budget ends."""

    def __init__(self, conversation: Conversation, prompts: Prompts, base: Individual) -> None:
        self._conversation = conversation
        self._prompts = prompts
        self._base = base
        self._silent = False
        self.ideas: list[str] = []

    def resolve(self, conflict: Conflict) -> str | None:
        if self._silent or conflict.path == WHOLE_FILE:
            return None
        draft = self._conversation.draft
        try:
            text, finish = self._conversation.answer([{"role": "user", "content": self._prompt(conflict)}])
            idea, lines = read_lines(text, finish)
        except ReplyRejected as rejection:
            draft.exchanges[-1] |= {"unresolved": rejection.kind.value, "reason": rejection.reason}
            return None
        except NoRoom:
            self._silent = True
            return None
        except ModelError as error:
            self._silent = True
            draft.fault = error
            return None
        self.ideas += [f"- {conflict.path}: {idea}"] if idea else []
        return _indented(lines, conflict)

    def _prompt(self, conflict: Conflict) -> str:
        fitter, other = self._conversation.job.parents
        first, second = (figure(one.fitness.gain_over(self._base.fitness), signed=True) for one in (fitter, other))
        return self._prompts.render(
            "conflict",
            {
                "base": quote(conflict.base or "# (nothing)", "python"),
                "first": quote(conflict.ours or "# (deleted)", "python"),
                "second": quote(conflict.theirs or "# (deleted)", "python"),
                "first_idea": quote_line(fitter.idea),
                "second_idea": quote_line(other.idea),
                "first_gain": first,
                "second_gain": second,
            },
        )


def _indented(lines: str, conflict: Conflict) -> str:
    """The lines at the indentation of the hunk, which models tend to lose."""
    wanted = _margin(conflict.ours or conflict.theirs or conflict.base)
    return lines if _margin(lines) == wanted else textwrap.indent(textwrap.dedent(lines), wanted)


def _margin(text: str) -> str:
    line = next((line for line in text.splitlines() if line.strip()), "")
    return line[: len(line) - len(line.lstrip())]
