"""What the environment asks of a run: the GPT_* variables, read once and checked."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gpt.errors import UserError
from gpt.prepared import SPLITS

DEFAULT_BOX = 5.0  # seconds
DEFAULT_SEQUENCE_LENGTH = 128  # tokens, of a corpus that is not packed into rows
DEFAULT_VALIDATION_TOKENS = 32768

T = TypeVar("T", int, float)


@dataclass(frozen=True)
class Harness:
    """One run's settings; `None`: the default corpus, the corpus's length, the best device, torch's own threads."""

    data: Path | None = None
    seed: int = 0
    box: float = DEFAULT_BOX
    sequence_length: int | None = None
    device: str | None = None
    threads: int | None = None
    report_fd: int | None = None
    splits: tuple[str, ...] = SPLITS[:1]  # to be scored on; the first gives val_bpb
    validation_tokens: int = DEFAULT_VALIDATION_TOKENS  # of each split, at most, that a model is scored on

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Harness:
        """Read the GPT_* variables; raises UserError with the variable's name where one is wrong."""
        device = environment.get("GPT_DEVICE") or None
        if device not in (None, "cpu", "cuda"):
            raise UserError(f"GPT_DEVICE='{device}' must be 'cpu' or 'cuda'.")
        data = environment.get("GPT_DATA")
        return cls(
            data=Path(data) if data else None,
            seed=_number(environment, "GPT_SEED", int, 0, low=0),
            box=_number(environment, "GPT_BOX", float, DEFAULT_BOX, low=0.001),
            sequence_length=_number(environment, "GPT_SEQUENCE_LENGTH", int, 0, low=2) or None,
            device=device,
            threads=_number(environment, "GPT_THREADS", int, 0, low=1) or None,
            report_fd=_optional_descriptor(environment),
            splits=_splits(environment),
            validation_tokens=_number(environment, "GPT_VALIDATION_TOKENS", int, DEFAULT_VALIDATION_TOKENS, low=1),
        )


def _number(environment: Mapping[str, str], name: str, kind: Callable[[str], T], default: T, *, low: T) -> T:
    text = environment.get(name)
    if not text:
        return default
    try:
        value = kind(text)
    except ValueError:
        raise UserError(f"{name}='{text}' must be a number.") from None
    if not math.isfinite(value) or value < low:
        raise UserError(f"{name}={text} must be a finite number, at least {low}.")
    return value


def _splits(environment: Mapping[str, str]) -> tuple[str, ...]:
    text = environment.get("GPT_SPLITS")
    if not text:
        return SPLITS[:1]
    names = tuple(text.split(","))
    if len(set(names)) < len(names) or not set(names) <= set(SPLITS):
        raise UserError(f"GPT_SPLITS='{text}' must name some of {', '.join(SPLITS)}, each once, with commas between.")
    return names


def _optional_descriptor(environment: Mapping[str, str]) -> int | None:
    descriptor = _number(environment, "GPT_REPORT_FD", int, -1, low=0)
    if descriptor < 0:
        return None
    try:
        is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        is_socket = False
    if not is_socket:
        raise UserError(f"GPT_REPORT_FD={descriptor} is not an open Unix socket.")
    return descriptor
