"""What a mutation's prompt tells: plain facts about a parent, and their form in Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evolve.llm.markdown import quote, quote_line, shorten
from evolve.llm.prompting import MAX_TOKENS, Prompts, Section
from evolve.llm.tokens import estimate

LONGEST_TAIL = 1500  # characters of what a script printed
LONGEST_DIFF = 3000
LONGEST_PROGRAM = 6000
CURVE_POINTS = 8


@dataclass(frozen=True)
class Measured:
    """The parent's outcome over its evaluations. Memory in MB (10^6 bytes), speed in tokens a second."""

    status: str
    score: float | None = None
    stderr: float | None = None
    evaluations: int = 1
    memory_mb: float | None = None
    steps: int | None = None
    tokens_per_second: float | None = None
    parameters: int | None = None
    seconds: float | None = None  # of training
    curve: Sequence[tuple[float, float]] = ()  # (progress 0..1, training loss)
    reason: str = ""  # of a failure
    tail: str = ""  # the last lines it printed


@dataclass(frozen=True)
class Step:
    """One ancestor, or one attempt: an idea and what came of it. `gain`: positive is better."""

    idea: str
    gain: float | None = None
    stderr: float | None = None
    verdict: str = ""  # such as "kept", "within noise", "crashed"
    diff: str = ""
    reason: str = ""
    tail: str = ""  # the last lines of a failure


@dataclass(frozen=True)
class Elite:
    idea: str
    score: float
    stderr: float | None = None
    diff: str = ""  # against a common ancestor


@dataclass(frozen=True)
class Context:
    """Everything that a mutation's prompt may tell. Sequences are in the order of time, elites best first."""

    source: str
    measured: Measured
    task: str
    contract: str
    intent: str  # one of prompting.INTENTS
    metric: str = "val_bpb"
    program: str = ""  # the user's own direction
    lineage: Sequence[Step] = ()
    tried: Sequence[Step] = ()
    elites: Sequence[Elite] = ()


def mutation_messages(prompts: Prompts, context: Context, max_tokens: int = MAX_TOKENS) -> list[dict[str, str]]:
    """System and user message for one mutation, together of at most `max_tokens` estimated tokens.

    What stays the same comes first, for the endpoints' prompt caches: task, contract and direction for all
    mutations, then the source and its measurements for all of one parent; the intent is last. Left out, where it
    must be: lineage first (from its old end), then elites, attempts, measurements; the source never.

    Raises PromptTooLong.
    """
    program = shorten(context.program.strip(), LONGEST_PROGRAM)  # the user's own words: instructions, not a quotation
    system = prompts.render(
        "system", {"task": context.task, "contract": context.contract, "program": program}, max_tokens
    )
    sections = {
        "source": Section((quote(context.source, "python"),)),
        "intent": Section((prompts.texts[context.intent].strip(),)),
        "outcome": Section(tuple(_measured(context.measured, context.metric)), importance=4),
        "tried": Section(tuple(_step(step) for step in reversed(context.tried)), importance=3, newest_last=True),
        "elites": Section(tuple(_elite(elite, context.metric) for elite in context.elites), importance=2),
        "lineage": Section(tuple(_step(step) for step in reversed(context.lineage)), importance=1, newest_last=True),
    }
    user = prompts.render("mutate", sections, max_tokens - estimate(system))
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def figure(value: float, stderr: float | None = None, *, signed: bool = False) -> str:
    """A score or gain with as many decimals as its noise allows, two digits of the noise, and never below four.

    >>> figure(0.97791234), figure(0.97791234, 0.00031), figure(0.002, signed=True)
    ('0.9779', '0.97791 +- 0.00031', '+0.0020')
    """
    decimals = 4
    if stderr is not None and math.isfinite(stderr) and stderr > 0:
        decimals = min(8, max(4, 1 - math.floor(math.log10(stderr))))
        return f"{value:{'+' if signed else ''}.{decimals}f} +- {stderr:.{decimals}f}"
    return f"{value:{'+' if signed else ''}.{decimals}f}"


def _measured(measured: Measured, metric: str) -> list[str]:
    if measured.score is None:
        lines = [f"Ended as: {measured.status}. {_quoted(measured.reason)}".strip()]
    else:
        runs = f"{measured.evaluations} run{'s' if measured.evaluations != 1 else ''}"
        lines = [f"{metric}: {figure(measured.score, measured.stderr)} over {runs}"]
    facts = {
        "steps": measured.steps,
        "tokens per second": measured.tokens_per_second,
        "seconds of training": measured.seconds,
        "peak memory in MB": measured.memory_mb,
        "parameters": measured.parameters,
    }
    lines += [f"{name}: {value:,.{0 if value >= 100 else 1}f}" for name, value in facts.items() if value is not None]
    items = ["\n".join(f"- {line}" for line in lines)]
    if measured.curve:
        items.append("Training loss at a share of the box: " + ", ".join(_points(measured.curve)))
    if measured.tail.strip():
        items.append(f"The last lines it printed:\n\n{_tail(measured.tail)}")
    return items


def _points(curve: Sequence[tuple[float, float]]) -> list[str]:
    """At most eight points, evenly spread, with both ends."""
    last = len(curve) - 1
    count = min(CURVE_POINTS, len(curve))
    chosen = [curve[round(i * last / max(1, count - 1))] for i in range(count)]
    return [f"{progress:.0%} {loss:.4f}" for progress, loss in chosen]


def _step(step: Step) -> str:
    gain = f"gain {figure(step.gain, step.stderr, signed=True)}" if step.gain is not None else ""
    facts = ", ".join(part for part in (gain, step.verdict, _quoted(step.reason)) if part)
    text = f"- {quote_line(step.idea)}" + (f" ({facts})" if facts else "")
    if step.diff.strip():
        text += "\n\n" + quote(step.diff, "diff", LONGEST_DIFF)
    if step.tail.strip():
        text += "\n\n" + _tail(step.tail)
    return text


def _elite(elite: Elite, metric: str) -> str:
    text = f"- {quote_line(elite.idea)} ({metric} {figure(elite.score, elite.stderr)})"
    return text + ("\n\n" + quote(elite.diff, "diff", LONGEST_DIFF) if elite.diff.strip() else "")


def _tail(text: str) -> str:
    return quote(text[-LONGEST_TAIL:], "text")


def _quoted(reason: str) -> str:
    """Of a failure, where there is one: it may hold what a program printed."""
    return quote_line(reason) if reason.strip() else ""
