"""Looking at a run from outside: status, show, export. Nothing here writes to the archive."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evolve.archive.repository import Archive
from evolve.archive.table import evaluations
from evolve.arena import Direction
from evolve.confirmation import confirmed
from evolve.errors import UserError
from evolve.estimates import estimates_of
from evolve.inbox import outside_lines
from evolve.individual import Outcome, Status
from evolve.lineages.steps import operation_of
from evolve.llm.ledger import report as llm_report
from evolve.race import race_of
from evolve.rundir import RunDirectory, engine_on
from evolve.spending import Spending
from evolve.summary import champion_lines, lineage_lines, run_name


def status(run: str) -> str:
    """How far a run is, how its evaluations ended, its best individual and lineage."""
    directory = RunDirectory.find(run)
    with Archive.open(directory.archive) as archive:
        state = archive.read_state()
        individuals = list(archive.individuals.values())
        outcomes = [outcome for _, outcome in archive.in_order()]
        endings = Counter(outcome.status.value for outcome in outcomes)
        waiting = len(archive.pending())
        spending = Spending(state["time_box"])
        for outcome in outcomes:
            spending.take(outcome)
        lines = [
            f"arena {state['arena']}, time box {state['time_box']:g} s, seed {state['seed']}, "
            f"corpus {state['corpus'][:12] or 'unknown'}",
            _progress(max(0, len(individuals) - 1), state, engine_on(directory)),
            f"{len(individuals)} individuals, {len(outcomes)} evaluations ({spending}), {waiting} without an outcome",
            "outcomes: " + (", ".join(f"{name} {count}" for name, count in endings.most_common()) or "none yet"),
            "operators: " + _operators(archive),
        ]
        if refused := state.get("refused"):
            text = ", ".join(f"{name} {count}" for name, count in sorted(refused.items()))
            lines.append(f"offspring refused before a box was spent on them: {text}")
        lines += _integrity(outcomes)
        lines += llm_report(archive)
        lines += outside_lines(directory)
        lines += _beside_the_search(archive)
        racing = race_of(archive, ())
        for individual, outcome in archive.in_order():
            racing.take(individual, outcome)
        if racing.record.raced or racing.record.let_through:
            lines.append(f"racing: {racing.record}")
        estimates = estimates_of(archive.in_order(), Direction(state["direction"]))
        if estimates.measured:
            best = confirmed(individuals) or archive.individuals[estimates.ranked(1)[0]]
            seed, direction = archive.individuals[0], Direction(state["direction"])
            lines += ["", *champion_lines(best, seed, estimates.noise, state["metric"], direction, run), "", "Lineage"]
            lines += lineage_lines(archive.lineage(best))
    return "\n".join(lines)


def _progress(births: int, state: dict[str, Any], engine: str) -> str:
    """How far the search is, and whether somebody is at it."""
    planned = f" of {state['pop'] * state['gens']} planned" if "gens" in state else ""
    running = f"an engine is running (process {engine})" if engine else "no engine is running"
    return f"{births} birth{'s' * (births != 1)}{planned}; {running}"


def _integrity(outcomes: Sequence[Outcome]) -> list[str]:
    """Whose scores were computed again, and whose edits are flagged; nothing where neither happened."""
    again = Counter(outcome.verified for outcome in outcomes if outcome.verified)
    flagged = {outcome.individual for outcome in outcomes if outcome.flags}
    parts = [f"{sum(again.values())} scores computed again (by {', '.join(f'{k} {n}' for k, n in again.items())})"]
    named = ", ".join(f"#{id}" for id in sorted(flagged)[:10]) + (", ..." if len(flagged) > 10 else "")
    parts = (parts if again else []) + ([f"{len(flagged)} edits flagged ({named})"] if flagged else [])
    return ["integrity: " + ", ".join(parts)] if parts else []


def _beside_the_search(archive: Archive) -> list[str]:
    """What operations on lineages have added, and ideas from before the archive began."""
    lines = []
    if studies := archive.studies():
        lines.append(
            f"operations on lineages: {len(studies)} evaluations, {len(archive.derived)} genomes (d0, d1, ...); "
            "the search sees none of them"
        )
    if ideas := sum(len(archive.ideas(one)) for one in archive.individuals.values()):
        lines.append(f"ideas tried before, without a genome: {ideas}")
    return lines


def _operators(archive: Archive) -> str:
    """Births and successes (better than the first parent) of each operator."""
    births: Counter[str] = Counter()
    better: Counter[str] = Counter()
    for one in archive.individuals.values():
        if one.parents:
            births[one.operator] += 1
            better[one.operator] += one.fitness.measured and one.fitness > archive.individuals[one.parents[0]].fitness
    text = [f"{name} {count} births, {better[name]} better than their parent" for name, count in births.most_common()]
    return "; ".join(text) or "none used yet"


def show(run: str, ref: str) -> str:
    """One individual: idea, parents, evaluations, and the diff against its first parent."""
    with Archive.open(RunDirectory.find(run).archive) as archive:
        one = archive.resolve(ref)
        parents = ", ".join(archive.everyone[id].name for id in one.parents) or "none"
        lines = [
            f"{one.name}  {one.idea}",
            f"operator {one.operator}, generation {one.generation}, parents {parents}, commit {one.commit}",
            "",
        ]
        details = archive.curves(one) + archive.curves(one, studies=True)
        for outcome, detail in zip(one.outcomes + one.studies, details, strict=True):
            ended = f"{outcome.score:.6f}" if outcome.score is not None else f"{outcome.status}: {outcome.reason}"
            timed = [name for name in ("training", "total") if name in outcome.seconds]
            figures: dict[str, object] = {name: f"{outcome.seconds[name]:.2f} s" for name in timed}
            figures |= {
                "steps": outcome.steps,
                "tokens": outcome.tokens,
                "parameters": outcome.parameters,
                "memory": None if outcome.peak_memory_mb is None else f"{outcome.peak_memory_mb:.0f} MB",
            }
            known = ", ".join(f"{name} {value}" for name, value in figures.items() if value is not None)
            trust = "" if outcome.trusted else " (untrusted: printed by the script)"
            trust += f" (its model scored again, by its {outcome.verified})" if outcome.verified else ""
            kind = f"{operation_of(outcome.replicate)} " if outcome.study else ""
            split = f", {outcome.split} split" if outcome.split else ""
            named = f"replicate {outcome.replicate} ({kind}{run_name(outcome)}{split})"
            lines.append(f"{named}: {ended}{trust}; {known}")
            if outcome.status is not Status.OK and detail["tail"]:
                lines += ["    " + line for line in str(detail["tail"]).splitlines()[-15:]]
        for idea in archive.ideas(one):
            ended = f" {idea['score']:.6f}" if idea.get("score") is not None else ""
            lines.append(f"tried on it before: {idea['idea']} ({idea.get('status', '')}{ended})")
        if not details:
            lines.append("not evaluated yet")
        if flags := [flag for outcome in one.outcomes[:1] for flag in outcome.flags]:
            lines += ["", "its edit touches what a genome has no business with:", *(f"    {flag}" for flag in flags)]
        if one.parents:
            parent = archive.everyone[one.parents[0]]
            lines += ["", *_diff(parent.genome, one.genome, parent.name, one.name)]
    return "\n".join(lines)


def _diff(before: str, after: str, old: str, new: str) -> list[str]:
    return list(difflib.unified_diff(before.splitlines(), after.splitlines(), old, new, lineterm=""))


def export(run: str, file: str) -> str:
    """Write one row an evaluation to a .csv or .parquet file; returns what was written, in words."""
    path = Path(file)
    if path.suffix not in (".csv", ".parquet"):
        raise UserError(f"'{file}' must end in .csv or .parquet.")
    import pandas as pd

    with Archive.open(RunDirectory.find(run).archive) as archive:
        frame = pd.DataFrame(evaluations(archive))
    try:
        if path.suffix == ".csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path, index=False)
    except OSError as error:
        raise UserError(f"'{file}' could not be written: {error.strerror or error}.") from error
    return f"{len(frame)} rows, {len(frame.columns)} columns in {file}"
