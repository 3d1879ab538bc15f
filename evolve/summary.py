"""The search in words: first lines, a line an outcome, the champion and its lineage."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Iterable

from evolve.arena import Direction
from evolve.confirmation import Confirmation, confirmation
from evolve.individual import CHOICE, Individual, Outcome, Status
from evolve.noise import Noise


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
    if outcome.study:
        return f"{text} ({run_name(outcome)})"
    if outcome.replicate:
        mean = statistics.fmean(individual.fresh_scores) if outcome.fresh else individual.fitness.mean
        return f"{text} ({run_name(outcome)}; mean {mean:.4f})"
    if parent is not None and parent.fitness.measured:
        text += f" ({individual.fitness.gain_over(parent.fitness):+.4f})"
    return text


def run_name(outcome: Outcome) -> str:
    """What a run is called: 'run 2', 'further run 1' (of a contender), 'fresh run 1' (confirms, on another split)."""
    kind = "run" if outcome.study or outcome.replicate < CHOICE else "fresh run" if outcome.fresh else "further run"
    return f"{kind} {outcome.replicate % CHOICE + 1}"


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


def champion_lines(
    best: Individual,
    seed: Individual,
    noise: Noise,
    metric: str,
    direction: Direction,
    run: object,
    title: str = "Champion",
) -> list[str]:
    """The result, with how far it can be trusted; `run` is what `evolve confirm` is to be called with."""
    runs = f"{best.fitness.count} run" + ("s" if best.fitness.count > 1 else "")
    spread = f"One run's standard deviation: {noise.sd:.5f}."
    if best is seed:
        return [f"No offspring beat the seed genome: {metric} {seed.fitness.mean:.4f} ({runs}). {spread}"]
    fresh = confirmation(best, seed, noise, direction)
    if fresh is None:
        return [
            f"{title} #{best.id}: {metric} {best.fitness.mean:.4f} ({runs}); "
            f"seed genome {seed.fitness.mean:.4f}; gain {best.fitness.gain_over(seed.fitness):.4f}. {spread}",
            "The best of many noisy runs flatters itself: this figure is not confirmed. "
            f"To confirm it: python -m evolve confirm {shlex.quote(str(run))}",
        ]
    return [
        f"{title} #{best.id}: {metric} {fresh.mean:.4f} on {fresh.runs} fresh runs "
        f"(95 % interval {fresh.low:.4f} to {fresh.high:.4f}); seed genome {fresh.seed_mean:.4f} on "
        f"{fresh.seed_runs} fresh runs; better than it with probability {_probability(fresh.probability)}.",
        f"{_real_gain(fresh)} One run's standard deviation: {fresh.noise.sd:.5f}.",
    ]


def locked_lines(best: Individual, seed: Individual) -> list[str]:
    """The champion on the locked split, from its fresh runs and those of the seed genome; nothing without them.

    For the end of a search and of `evolve confirm` alone: a figure that is looked at on the way gets chosen by.
    """
    own, base = ([one.locked for one in who.outcomes if one.locked is not None] for who in (best, seed))
    if best is seed or not own or not base:
        return []
    return [
        f"On the locked split, which nothing was chosen by: {statistics.fmean(own):.4f} (seed genome "
        f"{statistics.fmean(base):.4f}), from the same runs."
    ]


def _real_gain(fresh: Confirmation) -> str:
    """How much of the gain that the search showed is there again, in one sentence."""
    if not fresh.apparent > 0:
        return f"The search itself showed no gain; the fresh runs show one of {fresh.gain:.4f}."
    if fresh.gain >= fresh.apparent:
        return (
            f"All of the gain of {fresh.apparent:.4f} that the search showed is real: fresh runs show {fresh.gain:.4f}."
        )
    share = f"{100 * fresh.real_share:.0f} %" if fresh.gain > 0 else "nothing"
    return f"Of the gain of {fresh.apparent:.4f} that the search showed, {share} is real: {fresh.gain:.4f}."


def _probability(value: float) -> str:
    """0.93, but never a certainty."""
    return "above 0.99" if value > 0.99 else "below 0.01" if value < 0.01 else f"{value:.2f}"


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
