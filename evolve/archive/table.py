"""The archive as flat rows, an evaluation a row, for tables and figures."""

from __future__ import annotations

import json
from typing import Any

from evolve.archive.repository import Archive
from evolve.individual import Individual, Outcome

SECONDS = ("startup", "training", "scoring", "total")
MEASURED = (
    "replicate",
    "seed",
    "score",
    "reason",
    "steps",
    "tokens",
    "parameters",
    "peak_memory_mb",
    "device",
    "clock_mhz",
    "corpus",
    "trusted",
    "started",
)

COLUMNS = (*MEASURED, *(f"seconds_{key}" for key in SECONDS))


def measured(outcome: Outcome) -> dict[str, Any]:
    """What was measured, by the names in COLUMNS; None for what was not."""
    values = {key: getattr(outcome, key) for key in MEASURED}
    return values | {f"seconds_{key}": outcome.seconds.get(key) for key in SECONDS}


def evaluations(archive: Archive) -> list[dict[str, Any]]:
    """One row an evaluation of the search in order of arrival, then one for each individual that it has no outcome
    of, then one for each evaluation of an operation on a lineage (replicates 3000 and on; derived individuals have ids
    from 10^9).

    All rows have the same keys. `evaluation` counts from 0; `parents` is text ("3 5"), `constants` and
    `cost` are JSON text, times are seconds, `started` is Unix time, memory is MB. What an evaluation did
    not measure, and everything about one that has not been, is None. Scores of two splits (`split`) are
    not to be averaged with each other.
    """
    rows = [
        _row(individual, outcome, evaluation) for evaluation, (individual, outcome) in enumerate(archive.in_order())
    ]
    rows += [_row(individual, None, None) for individual in archive.pending()]
    return rows + [
        _row(individual, outcome, evaluation)
        for evaluation, (individual, outcome) in enumerate(archive.studies(), len(archive.in_order()))
    ]


def _row(individual: Individual, outcome: Outcome | None, evaluation: int | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "evaluation": evaluation,
        "individual": individual.id,
        "commit": individual.commit,
        "parents": " ".join(map(str, individual.parents)),
        "operator": individual.operator,
        "model": individual.model,
        "idea": individual.idea,
        "generation": individual.generation,
        "cost": json.dumps(individual.cost),
        "status": outcome.status.value if outcome else None,
    }
    row |= measured(outcome) if outcome else dict.fromkeys(COLUMNS)
    row["split"] = outcome.split if outcome else None
    row["constants"] = json.dumps(outcome.constants) if outcome else None
    return row
