"""Outcomes as JSON lines: what a commit's note shows, and the curve and tail that are kept apart."""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, fields
from typing import Any

from evolve.errors import UserError
from evolve.individual import Outcome

KEPT_APART = ("curve", "tail")
# First what a reader of `git log --notes=evolve` looks for; a key stands there whatever its value.
_FIRST = ("score", "status", "replicate", "seed", "seconds")
_DEFAULTS = {
    field.name: field.default if field.default_factory is MISSING else field.default_factory()
    for field in fields(Outcome)
}


def outcome_line(outcome: Outcome, n: int) -> str:
    """One line of `refs/notes/evolve`, without the individual (the commit says it), curve and tail.

    `n` counts all outcomes of the archive in order of arrival. Times are rounded to milliseconds; values
    that are the default are left out.
    """
    record = dict(vars(outcome))
    record["seconds"] = {key: round(value, 3) for key, value in outcome.seconds.items()}
    record["started"] = round(outcome.started, 3)
    line = {key: record.pop(key) for key in _FIRST}
    for key, value in record.items():
        if key not in ("individual", *KEPT_APART) and value != _DEFAULTS[key]:
            line[key] = value
    return json.dumps(line | {"n": n}, ensure_ascii=False)


def curve_line(outcome: Outcome, n: int) -> str | None:
    """One line of `refs/notes/curves`; None where the run left neither a curve nor a tail.

    Progress is rounded to 4 decimals, losses to 5 significant digits (a seed's noise is in the fourth). A
    loss that is not finite becomes null, because JSON has no name for it.
    """
    if not outcome.curve and not outcome.tail:
        return None
    curve = [
        [round(progress, 4), float(f"{loss:.5g}") if math.isfinite(loss) else None] for progress, loss in outcome.curve
    ]
    return json.dumps({"n": n, "curve": curve, "tail": outcome.tail}, ensure_ascii=False)


def read_lines(text: bytes, commit: str) -> list[dict[str, Any]]:
    """The records of a note. A line that starts with no brace is somebody's remark, and skipped.

    Raises UserError, naming the commit, where a record cannot be read.
    """
    try:
        records = [json.loads(line) for line in text.decode().split("\n") if line.startswith("{")]
        for record in records:
            record["n"] = int(record["n"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"The archive's note of commit {commit} is damaged ({error}): {text[:200]!r}") from error
    return records


def exchange_lines(text: bytes, commit: str) -> list[dict[str, Any]]:
    """The exchanges in a note of `refs/notes/llm`. Raises UserError, naming the commit, where one cannot be read."""
    try:
        lines = [json.loads(line) for line in text.decode().split("\n") if line.startswith("{")]
        for line in lines:
            line["time"] = float(line["time"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"The archive's note of commit {commit} is damaged ({error}): {text[:200]!r}") from error
    return lines


def idea_lines(text: bytes, commit: str) -> list[dict[str, Any]]:
    """The ideas in a note of `refs/notes/ideas`. Raises UserError, naming the commit, where one cannot be read."""
    try:
        lines = [json.loads(line) for line in text.decode().split("\n") if line.startswith("{")]
        for line in lines:
            line["idea"] = str(line["idea"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"The archive's note of commit {commit} is damaged ({error}): {text[:200]!r}") from error
    return lines


def outcome_of(record: dict[str, Any], individual: int, commit: str) -> Outcome:
    """The outcome in a line of `refs/notes/evolve`. Raises UserError where the line is not one."""
    try:
        return Outcome.from_record(record | {"individual": individual})
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"The archive's note of commit {commit} is damaged ({error}): {record}") from error


def curves(text: bytes, commit: str) -> dict[int, dict[str, Any]]:
    """The lines of a note of `refs/notes/curves` by `n`, with curves as Outcome has them: (progress, loss) pairs.

    Raises UserError, naming the commit, where one cannot be read.
    """
    # A kill between the two notes leaves a line whose number went to another run: the last one counts.
    return {line["n"]: line | {"curve": _points(line["curve"])} for line in read_lines(text, commit)}


def _points(curve: list[list[Any]]) -> list[tuple[float, float]]:
    return [(progress, math.nan if loss is None else loss) for progress, loss in curve]
