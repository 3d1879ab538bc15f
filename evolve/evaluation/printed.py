"""The summary that a foreign script prints, `key: number` a line: read, but not trusted."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass

MAX_LINE = 200  # characters; a summary's lines are short


@dataclass(frozen=True)
class PrintedSummary:
    """The figures under their de-facto keys (`num_steps`, `peak_vram_mb`, ...); None where not printed."""

    score: float | None
    training_seconds: float | None
    steps: int | None
    tokens: int | None
    parameters: int | None
    peak_memory_mb: float | None


def read_summary(text: str, metric: str) -> PrintedSummary:
    """Read a script's output; of a key printed twice, the last. A number that is not finite is None."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and len(line) <= MAX_LINE:
            with contextlib.suppress(ValueError):  # not a number: any other line of output
                found[key.strip()] = float(value.replace(",", ""))

    def number(key: str, scale: float = 1.0) -> float | None:
        value = found.get(key, math.nan) * scale
        return value if math.isfinite(value) else None

    def count(key: str, scale: float = 1.0) -> int | None:
        value = number(key, scale)
        return None if value is None else round(value)

    return PrintedSummary(
        score=number(metric),
        training_seconds=number("training_seconds"),
        steps=count("num_steps"),
        tokens=count("total_tokens_M", 1e6),
        parameters=count("num_params_M", 1e6),
        peak_memory_mb=number("peak_vram_mb"),
    )
