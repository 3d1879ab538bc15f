"""The single tables of `Frames`, each read from an open archive. Their columns are described there."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from evolve.archive.repository import Archive
from evolve.archive.table import COLUMNS, measured
from evolve.arena import Direction
from evolve.confirmation import confirmation
from evolve.individual import CHOICE, FRESH, Individual, Outcome
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


def evaluations(archive: Archive) -> pd.DataFrame:
    rows = [
        {
            "individual": one.id,
            "kind": kind(outcome),
            "status": outcome.status.value,
            "entered": outcome.entered,
            **measured(outcome),
        }
        for one, outcome in archive.in_order()
    ]
    return frame(rows, EVALUATIONS).rename_axis("evaluation")


def kind(outcome: Outcome) -> str:
    """What an evaluation was for."""
    if outcome.replicate >= FRESH:
        return "fresh"
    if outcome.replicate >= CHOICE:
        return "choice"
    return "replicate" if outcome.replicate else "first"


def curves(archive: Archive) -> pd.DataFrame:
    numbers = {id(outcome): number for number, (_, outcome) in enumerate(archive.in_order())}
    lengths, points, evaluation, individual = [], [], [], []
    for one, details in archive.every_curve():
        for outcome, detail in zip(one.outcomes, details, strict=True):
            lengths.append(len(detail["curve"]))
            points += detail["curve"]
            evaluation.append(numbers[id(outcome)])
            individual.append(one.id)
    flat = np.fromiter(itertools.chain.from_iterable(points), dtype=float, count=2 * len(points))
    table = pd.DataFrame(
        {
            "evaluation": np.repeat(np.array(evaluation, dtype=int), lengths),
            "individual": np.repeat(np.array(individual, dtype=int), lengths),
            "progress": flat[::2],
            "loss": flat[1::2],
        }
    )
    return table.sort_values("evaluation", kind="stable", ignore_index=True)


def edges(archive: Archive) -> pd.DataFrame:
    pairs = [(parent, one.id, rank) for one in archive.individuals.values() for rank, parent in enumerate(one.parents)]
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
    return pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=kind or object) for name, kind in types.items()}
    )
