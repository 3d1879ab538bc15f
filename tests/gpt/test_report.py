"""Lines of JSON on a pipe."""

from __future__ import annotations

import json
import os

import pytest

from gpt.report import Report


def test_events_are_lines() -> None:
    reader, writer = os.pipe()
    report = Report(writer)
    report.send("open")
    report.send("point", progress=0.5, loss=2.0, step=3)
    os.close(writer)
    with os.fdopen(reader) as lines:
        assert [json.loads(line) for line in lines] == [
            {"event": "open"},
            {"event": "point", "progress": 0.5, "loss": 2.0, "step": 3},
        ]


def test_nothing_without_a_pipe() -> None:
    report = Report(None)
    report.send("open")
    assert not report.connected


def test_a_number_that_json_lacks_is_an_error() -> None:
    reader, writer = os.pipe()
    with pytest.raises(ValueError, match="JSON"):
        Report(writer).send("point", loss=float("nan"))
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        Report(writer).send("open")
    os.close(writer)
