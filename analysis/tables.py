"""The single tables of `Frames`, each read from an open archive. Their columns are described there."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from evolve.archive.repository import Archive
from evolve.archive.table import COLUMNS, MEASURED, SECONDS
from evolve.arena import Direction
from evolve.confirmation import confirmation
from evolve.individual import CHOICE, FRESH, Individual, Outcome
from evolve.lineages.steps import operation_of
from evolve.noise import Noise

INDIVIDUALS = {  # column -> type, None: text
    "operator": None,
    "model": None,
    "idea": None,
    "commit": None,
    "generation": int,
    "status": None,
    "score": float,
    "stderr": float,
    "runs": int,
    "gain": float,
    "confirmed": float,
    "confirmed_low": float,
    "confirmed_high": float,
    "confirmed_runs": int,
    "seconds": float,
    "input_tokens": float,
    "output_tokens": float,
    "money": float,
    "elite": float,
    "champion": bool,
}
DERIVED = {
    **dict.fromkeys(("name", "operator", "idea", "commit", "branch"), None),
    "generation": int,
    "status": None,
    "score": float,
    "stderr": float,
    "runs": int,
    "gain": float,
    "seconds": float,
}
EVALUATIONS = {
    "individual": int,
    "kind": None,
    "status": None,
    **dict.fromkeys(COLUMNS, float),
    **dict.fromkeys(("reason", "device", "corpus"), None),
    **dict.fromkeys(("replicate", "seed"), int),
    "trusted": bool,
    "entered": bool,
}
LLM_CALLS = {
    "individual": int,
    "time": float,
    "model": None,
    "operator": None,
    "intent": None,
    "turn": int,
    "input_tokens": int,
    "output_tokens": int,
    "cached_tokens": float,
    "cost": float,
    "seconds": float,
    **dict.fromkeys(("finish_reason", "rejection", "repaired", "fault", "reason"), None),
}


def individuals(
    archive: Archive, direction: Direction, noise: Noise | None, champion: Individual | None
) -> pd.DataFrame:
    everyone = archive.individuals
    seed = everyone.get(0)
    ranks = {one.id: rank for rank, one in enumerate(archive.elite())}
    path = {one.id for one in archive.lineage(champion)} if champion else set()
    rows = []
    for one in everyone.values():
        fresh = confirmation(one, seed, noise, direction) if seed and noise else None
        origin = everyone[one.parents[0]].fitness if one.parents else None
        known = one.fitness.measured
        ended = [outcome.status.value for outcome in one.outcomes if outcome.counts and not outcome.fresh]
        rows.append(
            {
                "operator": one.operator,
                "model": one.model,
                "idea": one.idea,
                "commit": one.commit,
                "generation": one.generation,
                "status": "ok" if known else ended[-1] if ended else "pending",
                "score": one.fitness.mean if known else math.nan,
                "stderr": one.fitness.stderr,
                "runs": one.fitness.count,
                "gain": one.fitness.gain_over(origin) if known and origin and origin.measured else math.nan,
                "confirmed": fresh.mean if fresh else math.nan,
                "confirmed_low": fresh.low if fresh else math.nan,
                "confirmed_high": fresh.high if fresh else math.nan,
                "confirmed_runs": fresh.runs if fresh else 0,
                "seconds": sum(outcome.seconds.get("total", 0.0) for outcome in one.outcomes),
                "input_tokens": one.cost.get("input_tokens", math.nan),
                "output_tokens": one.cost.get("output_tokens", math.nan),
                "money": one.cost.get("money", math.nan),
                "elite": ranks.get(one.id, math.nan),
                "champion": one.id in path,
            }
        )
    return frame(rows, INDIVIDUALS).rename_axis("id")


def derived(archive: Archive) -> pd.DataFrame:
    named = {commit: branch for branch, commit in archive.branches().items()}
    rows = []
    for one in archive.derived.values():
        scores = scores_by_replicate(one)
        before = scores_by_replicate(archive.everyone[one.parents[0]]) if one.parents else {}
        gains = [one.fitness.weights[0] * (score - before[k]) for k, score in scores.items() if k in before]
        estimate = type(one.fitness)(list(scores.values()))
        ended = [outcome.status.value for outcome in one.studies if outcome.counts]
        rows.append(
            {
                "name": one.name,
                "operator": one.operator,
                "idea": one.idea,
                "commit": one.commit,
                "branch": named.get(one.commit),
                "generation": one.generation,
                "status": "ok" if scores else ended[-1] if ended else "pending",
                "score": estimate.mean if scores else math.nan,
                "stderr": estimate.stderr,
                "runs": estimate.count,
                "gain": statistics.fmean(gains) if gains else math.nan,
                "seconds": sum(outcome.seconds.get("total", 0.0) for outcome in one.studies),
            }
        )
    index = pd.Index(list(archive.derived), dtype=int, name="id")
    return frame(rows, DERIVED).set_axis(index)


def scores_by_replicate(one: Individual) -> dict[int, float]:
    """Of the runs that operations on a lineage made of it."""
    return {outcome.replicate: outcome.score for outcome in one.studies if outcome.score is not None}


def evaluations(runs: Sequence[tuple[Individual, Outcome]], first: int = 0) -> pd.DataFrame:
    """A row for each of the runs, numbered from `first` on."""
    outcomes = [outcome for _, outcome in runs]
    columns: dict[str, list[Any]] = {
        "individual": [one.id for one, _ in runs],
        "kind": [kind(outcome) for outcome in outcomes],
        "status": [outcome.status.value for outcome in outcomes],
        "entered": [outcome.entered for outcome in outcomes],
        **{name: [getattr(outcome, name) for outcome in outcomes] for name in MEASURED},
        **{f"seconds_{phase}": [outcome.seconds.get(phase) for outcome in outcomes] for phase in SECONDS},
    }
    index = pd.RangeIndex(first, first + len(runs), name="evaluation")
    return typed(columns, EVALUATIONS).set_axis(index)


def kind(outcome: Outcome) -> str:
    """What an evaluation was for."""
    if outcome.study:
        return operation_of(outcome.replicate)
    if outcome.replicate >= FRESH:
        return "fresh"
    if outcome.replicate >= CHOICE:
        return "choice"
    return "replicate" if outcome.replicate else "first"


def curves(archive: Archive) -> pd.DataFrame:
    runs = itertools.chain(archive.in_order(), archive.studies())
    numbers = {id(outcome): number for number, (_, outcome) in enumerate(runs)}
    found = sorted(
        (numbers[id(outcome)], one.id, list(itertools.chain.from_iterable(left["curve"])))
        for one, outcome, left in archive.every_curve()
    )
    lengths = [len(points) // 2 for _, _, points in found]
    flat = np.fromiter(itertools.chain.from_iterable(points for _, _, points in found), float, 2 * sum(lengths))
    return pd.DataFrame(
        {
            "evaluation": np.repeat(np.array([number for number, _, _ in found], dtype=int), lengths),
            "individual": np.repeat(np.array([individual for _, individual, _ in found], dtype=int), lengths),
            "progress": flat[::2],
            "loss": flat[1::2],
        }
    )


def edges(archive: Archive) -> pd.DataFrame:
    pairs = [(parent, one.id, rank) for one in archive.everyone.values() for rank, parent in enumerate(one.parents)]
    return pd.DataFrame(pairs, columns=["parent", "child", "rank"], dtype=int)


def llm_calls(archive: Archive) -> pd.DataFrame:
    rows = [
        {"individual": one.id, **{name: exchange.get(name) for name in LLM_CALLS if name != "individual"}}
        for one, exchange in archive.exchanges()
    ]
    return frame(rows, LLM_CALLS)


def constants(archive: Archive) -> pd.DataFrame:
    reported = {
        one.id: found
        for one in archive.individuals.values()
        if (found := next((outcome.constants for outcome in one.outcomes if outcome.constants), None))
    }
    index = pd.Index(list(reported), dtype=int, name="id")
    return pd.DataFrame.from_records(list(reported.values()), index=index)


def frame(rows: list[dict[str, Any]], types: Mapping[str, type | None]) -> pd.DataFrame:
    """The rows with exactly these columns, also where there is no row, and types that do not hang on the rows."""
    return typed({name: [row[name] for row in rows] for name in types}, types)


def typed(columns: Mapping[str, list[Any]], types: Mapping[str, type | None]) -> pd.DataFrame:
    """The columns in the order of their types (None: text)."""
    return pd.DataFrame({name: pd.Series(columns[name], dtype=kind or object) for name, kind in types.items()})
