"""Reads the log of a keep-or-discard search: a tab-separated row an attempt."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from evolve.errors import UserError

COLUMNS = ("commit", "val_bpb", "memory_gb", "status", "description")
MB_PER_GIB = 1024**3 / 1e6
_HEX = re.compile(r"[0-9a-f]{4,40}")


@dataclass(frozen=True)
class Row:
    """One attempt. `score` is None where it crashed, which such logs write as 0.000000."""

    line: int  # in the file, from 1
    commit: str  # as the log has it: the beginning of a hash, or a word
    score: float | None
    memory_mb: float | None
    status: str  # keep, discard, crash
    description: str

    @property
    def names_commit(self) -> bool:
        """Whether the first column can be the beginning of a hash."""
        return bool(_HEX.fullmatch(self.commit))


@dataclass(frozen=True)
class Log:
    """The rows in order, the metric's name, and the lines that could not be read, each with the reason."""

    rows: tuple[Row, ...]
    metric: str
    unreadable: tuple[str, ...]


def read_log(path: Path) -> Log:
    """Read a log. Columns are found by the names in its first line; without such a line, in the usual order.

    Raises UserError where the file cannot be read, or has no row that can.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The log {path} cannot be read: {error}.") from error
    return parse_log(text, str(path))


def parse_log(text: str, name: str) -> Log:
    """The log in a text; `name` is what messages call it. Raises UserError where no row can be read."""
    rows: list[Row] = []
    unreadable: list[str] = []
    columns: list[str] | None = None
    metric = COLUMNS[1]
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if columns is None:
            named = [cell.lower() for cell in cells]
            if "commit" in named and "status" in named:
                columns, metric = named, _metric(named)
                continue
            columns = list(COLUMNS)
        try:
            rows.append(_row(number, cells, columns, metric))
        except ValueError as error:
            unreadable.append(f"line {number}: {error}")
    if not rows:
        why = f" ({unreadable[0]})" if unreadable else ""
        raise UserError(f"The log {name} has no row that can be read{why}: it wants the columns {', '.join(COLUMNS)}.")
    return Log(tuple(rows), metric, tuple(unreadable))


def _metric(named: list[str]) -> str:
    """The column of the score: the first that is none of the others."""
    others = [name for name in named if name and name not in ("commit", "memory_gb", "status", "description")]
    if not others:
        raise UserError("The log has no column for the score, such as val_bpb.")
    return others[0]


def _row(number: int, cells: list[str], columns: list[str], metric: str) -> Row:
    """Raises ValueError for a row that cannot be read."""
    last = len(columns) - 1
    if len(cells) > len(columns) and columns[last] == "description":
        cells = [*cells[:last], " ".join(cells[last:])]
    cell = dict(zip(columns, cells, strict=False))
    if "commit" not in cell or metric not in cell:
        raise ValueError(f"{len(cells)} columns, {len(columns)} expected")
    status = cell.get("status", "").lower()
    score = float(cell[metric])
    if not math.isfinite(score):
        raise ValueError(f"the score {cell[metric]} is not finite")
    memory = float(cell["memory_gb"]) * MB_PER_GIB if cell.get("memory_gb") else 0.0
    crashed = score == 0.0 or status == "crash"
    return Row(
        number,
        cell["commit"].lower(),
        None if crashed else score,
        round(memory, 1) if math.isfinite(memory) and memory > 0 else None,
        status or ("crash" if crashed else ""),
        cell.get("description", ""),
    )
