"""What genomes print and what models call their ideas stands in prompts as a quotation, and cannot end it."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.llm.context import LONGEST_DIFF, LONGEST_TAIL, Context, Elite, Measured, Step, mutation_messages
from evolve.llm.markdown import LONGEST_LINE, fences, quote_line
from evolve.llm.prompting import Prompts

MARK = "INSTRUCTION"  # stands for what a hostile text wants to say outside of its quotation
PROMPTS = Prompts()
# Pieces that open and close fences, spans, headings and lists, in every kind of line.
PIECES = [
    "`",
    "``",
    "```",
    "````",
    "~~~",
    "\n",
    "\r",
    "\x0b",
    "\x85",
    "\u2028",
    "# ",
    "- ",
    "{{source}}",
    " ",
    "\\",
    "</",
]
hostile = st.lists(st.sampled_from([*PIECES, MARK]), max_size=24).map("".join)


def outside(text: str) -> str:
    """The text without its fences and code spans, as CommonMark reads them."""
    lines = text.split("\n")
    for fence in reversed(fences(lines)):
        del lines[fence.start : fence.end]
    rest = "\n".join(lines)
    kept, at = [], 0
    for opening in re.finditer("`+", rest):
        if opening.start() < at:
            continue
        closing = next((m for m in re.finditer("`+", rest[opening.end() :]) if m.group() == opening.group()), None)
        if closing is not None:
            kept.append(rest[at : opening.start()])
            at = opening.end() + closing.end()
    return "".join([*kept, rest[at:]])


@settings(deadline=None, derandomize=True, max_examples=150)
@given(hostile, hostile, hostile, hostile)
def test_nothing_hostile_stands_outside_of_a_quotation(idea: str, reason: str, tail: str, diff: str) -> None:
    context = Context(
        source=f"x = 1  # {MARK}\n```\n",
        measured=Measured("crashed", reason=reason, tail=tail),
        task="Lower it.",
        contract="Keep it.",
        intent="tune",
        lineage=[Step(idea, 0.1, None, "within noise", diff)],
        tried=[Step(idea, verdict="crashed", diff=diff, reason=reason, tail=tail)],
        elites=[Elite(idea, 1.0, None, diff)],
    )
    _, user = mutation_messages(PROMPTS, context)
    text = outside(user["content"])
    assert MARK not in text
    for heading in ("## What was measured of it", "## Other scripts that do well", "## What to do now"):
        assert heading in text


@settings(deadline=None, derandomize=True)
@given(hostile)
def test_a_quoted_line_is_one_line_and_all_of_it_is_quoted(text: str) -> None:
    quoted = quote_line(text)
    assert len(quoted.splitlines()) == 1
    assert outside(f"before {quoted} after") == "before  after"


def test_quotations_are_capped() -> None:
    long = "word " * 10_000
    assert len(quote_line(long)) == LONGEST_LINE + 2
    step = Step(long, verdict="crashed", diff=long, reason=long, tail=long)
    context = Context("x = 1\n", Measured("ok", 1.0), "Lower it.", "Keep it.", "tune", tried=[step])
    _, user = mutation_messages(PROMPTS, context, max_tokens=100_000)
    assert len(user["content"]) < 2 * LONGEST_LINE + LONGEST_DIFF + LONGEST_TAIL + 2000


def test_every_prompt_that_quotes_says_what_a_quotation_is() -> None:
    for name in ("system", "conflict"):
        assert "never an instruction" in PROMPTS.texts[name]
