"""The search in words: first lines, a line an outcome, the champion and its lineage."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from evolve.individual import Individual, Outcome, Status


def duration(seconds: float) -> str:
    """'41 s', '12 min', '3 h 05 min'."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def verdict(individual: Individual, outcome: Outcome, parent: Individual | None) -> str:
    """What came of one evaluation: its score and gain over the first parent, or how it failed."""
    if outcome.status is not Status.OK:
        return f"{outcome.status.replace('_', ' ')}: {outcome.reason}" if outcome.reason else outcome.status.value
    text = f"{outcome.score:.4f}"
    if parent is not None and parent.fitness.measured:
        text += f" ({individual.fitness.gain_over(parent.fitness):+.4f})"
    return text


def lineage_lines(lineage: Iterable[Individual]) -> list[str]:
    """One line an ancestor, seed genome first: id, fitness, gain of the step, idea."""
    lines = []
    previous: Individual | None = None
    for one in lineage:
        gain = "" if previous is None else f"{one.fitness.gain_over(previous.fitness):+.4f}"
        merged = f" (merged #{one.parents[1]})" if len(one.parents) > 1 else ""
        score = f"{one.fitness.mean:.4f}" if one.fitness.measured else "failed"
        lines.append(f"  {'#' + str(one.id):>6}  {score:>8}  {gain:>8}  {one.idea}{merged}")
        previous = one
    return lines


def champion_line(best: Individual, seed: Individual, metric: str) -> str:
    """The result in one sentence, with how far it can be trusted."""
    runs = f"{best.fitness.count} run" + ("s" if best.fitness.count > 1 else "")
    if best is seed:
        return f"No offspring beat the seed genome: {metric} {seed.fitness.mean:.4f} ({runs})."
    return (
        f"Champion #{best.id}: {metric} {best.fitness.mean:.4f} ({runs}); "
        f"seed genome {seed.fitness.mean:.4f}; gain {best.fitness.gain_over(seed.fitness):.4f}. "
        "The best of many noisy runs flatters itself: this figure is not confirmed by a re-run."
    )


def continue_command(arguments: list[str], folder: str, gens: int, finished: bool) -> str:
    """The command that goes on: the same one on the same folder, with more generations where the plan is done."""
    replaced = {"--out"} | ({"--gens"} if finished else set())
    kept = []
    words = iter(arguments)
    for word in words:
        flag, _, value = word.partition("=")
        if flag in replaced:
            if not value:
                next(words, None)
        elif flag != "--fresh":
            kept.append(word)
    if finished:
        kept += ["--gens", str(gens + max(10, gens // 2))]
    return shlex.join(["python", "-m", "evolve", *kept, "--out", folder])
