"""The report that a genome's `gpt` writes on its pipe, read with suspicion: anybody may have written it."""

from __future__ import annotations

import enum
import json
import math
from dataclasses import dataclass, field
from typing import Any

from evolve.evaluation.output import printable

MAX_LINE = 64 * 1024  # bytes
MAX_BYTES = 4 * 1024 * 1024
MAX_EVENTS = 2000  # a box has at most 64 points


class Phase(enum.StrEnum):
    """Where a trial stands, by its report."""

    STARTUP = "startup"
    TRAINING = "training"
    SCORING = "scoring"


class MalformedReport(ValueError):  # noqa: N818
    """Something on the pipe that `gpt` does not write."""


@dataclass
class Report:
    """What was reported so far. `opened`, `closed`: the harness's own clock when the events were read."""

    metric: str
    phase: Phase = Phase.STARTUP
    opened: float | None = None
    closed: float | None = None
    finished: bool = False  # a result was reported
    score: float | None = None  # None: none yet, or not a number
    locked: float | None = None  # on the locked split, where it was scored on that, too
    training_seconds: float = 0.0  # as claimed
    last_step: float = 0.0  # seconds of work since the last batch was asked for, as claimed
    longest_step: float = math.inf  # between two batches
    state: str = ""  # hash of the trained model, said before its score could be known
    exported: str | None = None  # the model was handed over; why it is no graph, or ""
    model: str = ""  # what was scored: of a second scoring alone
    steps: int | None = None
    tokens: int | None = None
    parameters: int | None = None
    peak_memory_mb: float | None = None
    device: str = ""
    corpus: str = ""
    constants: dict[str, Any] = field(default_factory=dict)
    curve: list[tuple[float, float]] = field(default_factory=list)  # (progress, loss), finite ones
    progress: float = 0.0
    loss: float | None = None  # of the last point; None where it was not finite
    violation: str = ""  # the contract's breach, as `gpt` saw it
    malformed: str = ""  # what is wrong with the report itself; nothing more is read after it
    _line: bytearray = field(default_factory=bytearray)
    _bytes: int = 0
    _events: int = 0

    def feed(self, data: bytes, now: float) -> list[str]:
        """Take in what was read at time `now`; a last line without its end waits. Gives the names of the events."""
        if self.malformed:
            return []
        self._bytes += len(data)
        *lines, rest = (bytes(self._line) + data).split(b"\n")
        self._line = bytearray(rest)
        names: list[str] = []
        try:
            for line in lines:
                names.append(self._read(line, now))
            if len(rest) > MAX_LINE or self._bytes > MAX_BYTES:
                raise MalformedReport(f"{self._bytes} bytes, or a line of more than {MAX_LINE}")
        except MalformedReport as error:
            self.malformed = str(error)
        return names

    def _read(self, line: bytes, now: float) -> str:
        self._events += 1
        if len(line) > MAX_LINE or self._events > MAX_EVENTS:
            raise MalformedReport(f"more than {MAX_EVENTS} events, or one of more than {MAX_LINE} bytes")
        event = _decode(line)
        name = event.get("event")
        if name == "start" and self.phase is Phase.STARTUP and not self.device:
            self.device = _text(event, "device")
            self.corpus = _text(event, "corpus")
        elif name == "open" and self.phase is Phase.STARTUP:
            self.phase, self.opened = Phase.TRAINING, now
        elif name == "point" and self.phase is not Phase.STARTUP:  # a loss may be logged late
            self._point(event)
        elif name == "close" and self.phase is Phase.TRAINING:
            self.phase, self.closed = Phase.SCORING, now
            self.training_seconds = _finite(event, "training_seconds")
            self.steps = _count(event, "steps")
            self.tokens = _count(event, "tokens")
            self.state = _text(event, "state") if "state" in event else ""
            if "longest_step" in event and self.steps > 1:
                self.last_step, self.longest_step = _finite(event, "last_step"), _finite(event, "longest_step")
        elif name == "result" and self.phase is Phase.SCORING and not self.finished:
            self._result(event)
        elif name == "exported" and self.finished and self.exported is None:
            self.exported = _text(event, "reason")
        elif name == "violation":
            self.violation = _text(event, "reason")
        else:
            raise MalformedReport(f"the event {str(name)[:40]!r} while {self.phase.value}")
        return str(name)

    def _point(self, event: dict[str, Any]) -> None:
        self.progress = min(1.0, max(0.0, _finite(event, "progress")))
        loss = _number(event, "loss")
        self.loss = loss if math.isfinite(loss) else None
        if self.loss is not None:  # JSON has no NaN: an exploded loss shows as the curve's early end
            self.curve.append((self.progress, self.loss))

    def _result(self, event: dict[str, Any]) -> None:
        score = _number(event, self.metric)
        self.score = score if math.isfinite(score) else None
        self.finished = True
        if event.get("locked_bpb") is not None:
            self.locked = _finite(event, "locked_bpb")
        if event.get("parameters") is not None:
            self.parameters = _count(event, "parameters")
        if event.get("peak_memory_mb") is not None:
            self.peak_memory_mb = _finite(event, "peak_memory_mb")
        if "model" in event:
            self.model = _text(event, "model")
        self.constants = event.get("constants") or {}
        if not isinstance(self.constants, dict):
            raise MalformedReport("'constants' is not an object")


def _decode(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
        # Half a surrogate pair passes as JSON and could not be written to any file later.
        json.dumps(event, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise MalformedReport(f"a line that is not JSON ({type(error).__name__})") from error
    if not isinstance(event, dict):
        raise MalformedReport("a line that is not a JSON object")
    return event


def _number(event: dict[str, Any], key: str) -> float:
    """A number; NaN where it is null, which is how JSON without NaN writes it."""
    value = event.get(key, "nothing")
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MalformedReport(f"'{key}' is not a number")
    try:
        return float(value)
    except OverflowError as error:
        raise MalformedReport(f"'{key}' is too large") from error


def _finite(event: dict[str, Any], key: str) -> float:
    value = _number(event, key)
    if not math.isfinite(value) or value < 0:
        raise MalformedReport(f"'{key}' is {value}")
    return value


def _count(event: dict[str, Any], key: str) -> int:
    value = _finite(event, key)
    if value != int(value):
        raise MalformedReport(f"'{key}' is {value}, not a whole number")
    return int(value)


def _text(event: dict[str, Any], key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str):
        raise MalformedReport(f"'{key}' is not a text")
    return printable(value[:1000])
