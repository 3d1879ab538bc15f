"""The results of operations on a lineage in words and columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from evolve.lineages.ablate import AblatedStep, Ablation, Extent
from evolve.lineages.paired import LEVEL, Effect, Interval, Verdict
from evolve.lineages.prune import Fate, PrunedStep, Pruning
from evolve.lineages.replay import Replay, ReplayedStep
from evolve.lineages.transfer import CarriedStep, Transfer


def replay_lines(result: Replay) -> list[str]:
    """The lineage, claimed against replayed, and what follows."""
    lines = [
        f"Lineage of {result.name}: {result.metric} as the search claimed it, and replayed on fresh seeds "
        f"({result.replicates} runs of each in boxes of {result.time_box:g} s)",
        "",
        f"  {'':>6}  {'claimed':>8} {'gain':>8}   {'replayed':>8}  {'95 % interval':<16}  {'gain':>8}  "
        f"{'95 % interval':<18}  {'verdict':<12}  {'share':>6}  idea",
        *(_step(step) for step in result.steps),
        "",
    ]
    if math.isnan(result.total.value):
        return [*lines, "The last or the first of them has no replay with a score, so there is no total gain."]
    total = effect(result.total)
    if result.claimed is None:
        lines.append(f"Total gain replayed {total}; the search has no scores to compare it with.")
    else:
        lines.append(f"Total gain claimed {result.claimed:+.4f}, replayed {total}{_kept(result)}.")
        if result.other_tokens:
            lines.append("Claims are scores on the search's validation tokens, replays on others: compare gains.")
    verdicts = [step.gain.verdict for step in result.steps if step.gain is not None]
    lines.append(tally(verdicts, "step"))
    return lines


def _kept(result: Replay) -> str:
    """How much of a claimed gain is there again."""
    if result.claimed is None or result.claimed <= 0:
        return ""
    share = result.total.value / result.claimed
    return ": all of it" if share >= 1 else f": {100 * share:.0f} % of it" if share > 0 else ": nothing of it"


def _step(step: ReplayedStep) -> str:
    claimed = f"{step.claimed:.4f}" if step.claimed is not None else "none"
    claimed_gain = f"{step.claimed_gain:+.4f}" if step.claimed_gain is not None else ""
    if step.replayed is not None:
        value, spread = f"{step.replayed.value:.4f}", span(step.replayed)
    else:
        value, spread = "failed" if step.failures else "not run", ""
    gain, gain_span, verdict = columns(step.gain)
    part = f"{100 * step.share:.0f} %" if step.share is not None else ""
    merged = f" (merged {step.merged})" if step.merged else ""
    failed = f" [{len(step.failures)} runs {', '.join(sorted(set(step.failures)))}]" if step.failures else ""
    return (
        f"  {step.name:>6}  {claimed:>8} {claimed_gain:>8}   {value:>8}  {spread:<16}  {gain:>8}  {gain_span:<18}  "
        f"{verdict:<12}  {part:>6}  {step.idea}{merged}{failed}"
    )


def columns(gain: Effect | None) -> tuple[str, str, str]:
    """A gain, its interval and the verdict; empty without one."""
    if gain is None:
        return "", "", ""
    if math.isnan(gain.value):
        return "", "", str(gain.verdict)
    return f"{gain.value:+.4f}", span(gain, signed=True), str(gain.verdict)


def span(interval: Interval, *, signed: bool = False) -> str:
    """'2.1390 to 2.1537'; empty where it is not known."""
    if math.isnan(interval.low):
        return ""
    return f"{interval.low:+.4f} to {interval.high:+.4f}" if signed else f"{interval.low:.4f} to {interval.high:.4f}"


def effect(gain: Effect) -> str:
    """'+0.2450 (95 % interval +0.2101 to +0.2799)'."""
    known = f" (95 % interval {span(gain, signed=True)})" if span(gain) else ""
    return f"{gain.value:+.4f}{known}"


def tally(verdicts: Sequence[Verdict], what: str) -> str:
    """How many of each verdict, and how often such a verdict is wrong."""
    told = [f"{verdicts.count(verdict)} {verdict}" for verdict in Verdict if verdict in verdicts]
    count = len(verdicts)
    counted = f"Of {count} {what}{'s' * (count != 1)}: {', '.join(told)}."
    if set(verdicts) <= {Verdict.UNKNOWN}:
        return counted
    return (
        f"{counted} A {what} without any effect is called real with probability {100 * LEVEL / 2:g} %, and harmful "
        f"with {100 * LEVEL / 2:g} %: of {count} of that kind, {LEVEL * count:.2g} would be. Where that is too many, "
        "give more --replicates."
    )


def missing_lines(missing: int) -> Iterable[str]:
    """What an interrupted operation says at its end."""
    if missing:
        yield f"{missing} evaluations are still to be done: the same command goes on."


def ablation_lines(result: Ablation) -> list[str]:
    """What each step contributes in the end."""
    own = "not run" if result.score is None else f"{result.score.value:.4f} ({span(result.score)})"
    lines = [
        f"What each step contributes to {result.name}: {result.metric} of {result.name} without it, against {own} "
        f"with it ({result.replicates} paired runs of each in boxes of {result.time_box:g} s)",
        "",
        f"  {'':>6}  {'without':>8}  {'contributes':>11}  {'95 % interval':<18}  {'verdict':<12}  idea",
        *(_ablated(step) for step in result.steps),
        "",
    ]
    measured = [step.gain.verdict for step in result.steps if step.gain is not None]
    if measured:
        lines.append(tally(measured, "step"))
        lines.append("Steps act on each other: contributions need not add up to the total gain.")
    if any(step.conflicts for step in result.steps):
        lines.append(
            "What later steps changed again stays: there, a step goes in part; where nothing else is left of it, it is "
            "in conflict and can be taken out only with what changed it."
        )
    return lines


def _ablated(step: AblatedStep) -> str:
    value, (gain, gain_span, verdict) = "", columns(step.gain)
    notes = []
    if step.conflicts:
        by = f", changed again by {', '.join(step.changed_by)}" if step.changed_by else ""
        notes.append(f"{step.extent}: {', '.join(step.conflicts)} stays{by}")
    if step.failures:
        notes.append(f"{len(step.failures)} runs {', '.join(sorted(set(step.failures)))}")
    if step.extent is Extent.NOTHING:
        notes.append("later steps undid or replaced it")
    if step.extent in (Extent.NOTHING, Extent.CONFLICT):
        verdict = str(step.extent)
    else:
        value = "not run" if step.gain is None else "failed" if step.score is None else f"{step.score.value:.4f}"
    told = f" [{'; '.join(notes)}]" if notes else ""
    return f"  {step.name:>6}  {value:>8}  {gain:>11}  {gain_span:<18}  {verdict:<12}  {step.idea}{told}"


def pruning_lines(result: Pruning) -> list[str]:
    """What became of each step, the pruned genome, and its diff against the first of the lineage."""
    lines = [
        f"Steps of {result.name}, dropped one after the other, those that contribute least first, while what is left "
        f"stays within noise of it. Gain: of what is left without the step over {result.name}",
        "",
        f"  {'':>6}  {'gain':>8}  {'95 % interval':<18}  {'':<23}  idea",
        *(_pruned(step) for step in result.steps),
        "",
    ]
    undecided = any(step.fate is Fate.UNDECIDED for step in result.steps)
    if not result.finished:
        return [*lines, "Not decided yet: evaluations are still to be done. The same command goes on."]
    if result.pruned is None or result.gain is None:
        more = " Of some the runs are too few to say: give more --replicates." if undecided else ""
        return [*lines, f"No step can go: {result.name} is its own smallest genome.{more}"]
    dropped = sum(step.fate in (Fate.DROPPED, Fate.PART) for step in result.steps)
    size = f"{result.size[1]} changed lines instead of {result.size[0]}" if result.size[1] else "nothing is left"
    return [
        *lines,
        f"{result.pruned} is {result.name} without {dropped} of {len(result.steps)} steps, the branch {result.branch}: "
        f"{size}.",
        f"On {result.gain.runs} seeds that it was not chosen by, it gains {effect(result.gain)} over {result.name}: "
        f"{result.gain.verdict}. (A loss smaller than that interval is not seen; --replicates narrows it.)",
        "",
        *result.diff.splitlines(),
    ]


def _pruned(step: PrunedStep) -> str:
    value, interval, verdict = columns(step.gain)
    return f"  {step.name:>6}  {value or verdict:>8}  {interval:<18}  {step.fate:<23}  {step.idea}"


def transfer_lines(result: Transfer) -> list[str]:
    """The steps, both ends here and there, and how much of the gain comes along."""
    lines = [
        f"Lineage of {result.name} onto {result.onto}" + (" (all steps as one)" if result.squashed else ""),
        "",
        *(_carried(step) for step in result.steps),
        "",
    ]
    if result.transferred is None:
        return [*lines, "No step could be carried over, so nothing was evaluated."]
    here, there = (f"{box:g} s" for box in result.time_boxes)
    first, last, base, transferred = (_mean(score) for score in result.scores)
    rows = [
        ("", "box", "before", "after", "gain", "95 % interval", "verdict"),
        ("where it was found", here, first, last, *columns(result.original)),
        (f"on the other base ({result.base}, {result.transferred})", there, base, transferred, *columns(result.gain)),
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(7)]
    lines += ["  " + "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)) for row in rows]
    lines += [f"  {failure}" for failure in dict.fromkeys(result.failures)]
    lines += ["", _comes_along(result)]
    if result.scores[3] is not None:
        lines.append(
            f"The branch {result.branch} is the transferred genome; `replay` it to see which steps hold there."
        )
    return lines


def _mean(score: Interval | None) -> str:
    return "no score" if score is None else f"{score.value:.4f}"


def _comes_along(result: Transfer) -> str:
    if result.share is None:
        return "How much of the gain comes along is not known: runs with a score are missing."
    if math.isnan(result.share.low):
        return (
            "How much of the gain comes along cannot be told, as where it was found it may be nothing: "
            f"{effect(result.original)}. More --replicates narrow it."
        )
    low, high = 100 * result.share.low, 100 * result.share.high
    return f"Of the gain, {100 * result.share.value:.0f} % comes along (95 % interval {low:.0f} to {high:.0f} %)."


def _carried(step: CarriedStep) -> str:
    if step.carried is not None:
        fate = f"as {step.carried}"
    elif step.conflicts:
        fate = "left out"
    else:
        fate = "nothing new"
    notes = [f"conflict in {', '.join(step.conflicts)}"] if step.conflicts else []
    notes += [f"{', '.join(step.fixed)} stays as set"] if step.fixed else []
    told = f" [{'; '.join(notes)}]" if notes else ""
    return f"  {step.name:>6}  {fate:<11}  {step.idea}{told}"
