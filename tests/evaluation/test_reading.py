"""Readers of what a genome writes, against arbitrary input: output, report, printed summary."""

from __future__ import annotations

import itertools
import json
import math

from hypothesis import given
from hypothesis import strategies as st

from evolve.evaluation.output import Output
from evolve.evaluation.printed import read_summary
from evolve.evaluation.report import MAX_EVENTS, Phase, Report

EVENTS = [
    {"event": "start", "device": "cpu", "corpus": "c0"},
    {"event": "open"},
    {"event": "point", "progress": 0.5, "loss": 2.0, "step": 1},
    {"event": "close", "training_seconds": 1.0, "steps": 2, "tokens": 64}
    | {"state": "c0ffee", "last_step": 0.1, "longest_step": 0.2},
    {"event": "result", "val_bpb": 1.5, "parameters": 10, "peak_memory_mb": None, "constants": {"LR": 1}}
    | {"model": "graph"},
    {"event": "exported", "reason": ""},
]
STREAM = "".join(json.dumps(event) + "\n" for event in EVENTS).encode()


@given(st.lists(st.binary(max_size=200), max_size=20), st.integers(2, 100))
def test_output_keeps_both_ends_within_its_limit(chunks: list[bytes], limit: int) -> None:
    output = Output(limit)
    for chunk in chunks:
        output.feed(chunk)
    whole, half = b"".join(chunks), limit // 2
    kept = output.text()
    if len(whole) <= limit // 2 * 2:
        assert kept == whole.decode(errors="replace")
    else:
        assert f"\n[{len(whole) - 2 * half} bytes left out]\n" in kept
        assert kept.startswith(whole[:half].decode(errors="replace")[:-1])
        assert kept.endswith(whole[-half:].decode(errors="replace")[4:])


@given(st.binary(max_size=2000))
def test_lines_are_printable_short_and_few(data: bytes) -> None:
    output = Output(1000)
    output.feed(data)
    lines = output.lines(count=3, width=20)
    assert len(lines) <= 3
    assert all(line.isprintable() and 0 < len(line) <= 20 for line in lines)


def test_of_a_progress_bar_the_last_state_is_the_line() -> None:
    output = Output(1000)
    output.feed(b"10%\r50%\r100%\r\n\n\tdone\n")
    assert output.lines() == ["100%", " done"]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_a_report_reads_the_same_however_it_is_cut(cuts: list[int]) -> None:
    report = Report("val_bpb")
    edges = [0, *sorted(cuts), len(STREAM)]
    names = [name for begin, end in itertools.pairwise(edges) for name in report.feed(STREAM[begin:end], now=1.0)]
    assert names == [event["event"] for event in EVENTS]
    assert (report.malformed, report.finished, report.score) == ("", True, 1.5)
    assert (report.phase, report.steps, report.tokens, report.parameters) == (Phase.SCORING, 2, 64, 10)
    assert report.curve == [(0.5, 2.0)]
    assert (report.state, report.last_step, report.longest_step) == ("c0ffee", 0.1, 0.2)
    assert (report.model, report.exported) == ("graph", "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.sampled_from(EVENTS), max_size=4), st.sampled_from(EVENTS), st.data())
def test_events_of_any_kind_never_raise(
    before: list[dict[str, object]], last: dict[str, object], data: st.DataObject
) -> None:
    report = Report("val_bpb")
    changed = {key: data.draw(JSON) if key != "event" else value for key, value in last.items()}
    report.feed("".join(json.dumps(event) + "\n" for event in [*before, changed]).encode(), now=1.0)
    assert report.score is None or math.isfinite(report.score)
    assert all(math.isfinite(value) for point in report.curve for value in point)
    assert isinstance(report.constants, dict)
    assert len(report.curve) <= MAX_EVENTS


@given(st.binary(max_size=500))
def test_bytes_of_any_kind_never_raise(data: bytes) -> None:
    report = Report("val_bpb")
    report.feed(data + b"\n", now=1.0)
    assert report.malformed or report.phase is Phase.STARTUP


@given(st.text())
def test_printed_text_of_any_kind_never_raises(text: str) -> None:
    assert read_summary(text, "val_bpb").score is None or "val_bpb" in text


def test_a_printed_summary_is_read_from_its_last_lines() -> None:
    text = "val_bpb: 3\nval_bpb: 1_000.5\r\n  num_steps : 12\nnum_params_M: 1,234.5\nval_bpb: soon\n"
    summary = read_summary(text, "val_bpb")
    assert (summary.score, summary.steps, summary.parameters) == (1000.5, 12, 1_234_500_000)
    assert read_summary("val_bpb: " + "9" * 500, "val_bpb").score is None
