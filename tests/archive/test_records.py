"""Outcomes as lines of JSON, and back."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.archive.records import curve_line, curves, outcome_line, outcome_of, read_lines
from evolve.errors import UserError
from evolve.individual import Outcome, Status

FINITE = st.floats(allow_nan=False, allow_infinity=False)
OUTCOMES = st.builds(
    Outcome,
    status=st.sampled_from([status for status in Status if status is not Status.OK]),
    reason=st.text(max_size=20),
    replicate=st.integers(0, 9),
    seconds=st.dictionaries(st.sampled_from(["training", "total"]), st.integers(0, 10**6).map(lambda ms: ms / 1000)),
    steps=st.none() | st.integers(0, 10**9),
    trusted=st.booleans(),
    constants=st.dictionaries(st.text(max_size=5), FINITE | st.text(max_size=5) | st.booleans()),
)


@given(OUTCOMES, st.integers(0, 10**6))
def test_a_line_reads_back(outcome: Outcome, n: int) -> None:
    line = outcome_line(outcome, n)
    assert "\n" not in line
    (record,) = read_lines(line.encode(), "commit")
    assert record["n"] == n
    assert outcome_of(record, outcome.individual, "commit") == outcome


def test_a_score_loses_no_digit_and_stands_first() -> None:
    line = outcome_line(Outcome(Status.OK, 1.0 / 3.0, seconds={"total": 1.23456}), 5)
    assert line.startswith('{"score": 0.3333333333333333, "status": "ok", "replicate": 0, "seed": 0, ')
    assert json.loads(line)["seconds"] == {"total": 1.235}
    assert line.endswith('"n": 5}')


def test_curve_and_tail_are_kept_apart() -> None:
    outcome = Outcome(Status.CRASHED, curve=[(0.123456, 5.4321098), (0.5, math.inf)], tail="last\nlines ü")
    assert "curve" not in json.loads(outcome_line(outcome, 0))
    line = curve_line(outcome, 0)
    assert line is not None
    later = line.replace("last", "of the run that got the number")
    read = curves(f"{later}\n{line}\n".encode(), "commit")[0]
    assert read["tail"] == "last\nlines ü"
    assert read["curve"][0] == (0.1235, 5.4321)
    assert read["curve"][1][0] == 0.5 and math.isnan(read["curve"][1][1])
    assert curve_line(Outcome(Status.REJECTED), 0) is None


def test_remarks_are_skipped() -> None:
    text = f"a remark\n\n{outcome_line(Outcome(Status.CRASHED), 3)}\n"
    assert [record["n"] for record in read_lines(text.encode(), "commit")] == [3]


@pytest.mark.parametrize("text", [b'{"n": 1', b"{}", b'{"n": null}', b'{"n": "x"}', b"{\xff}"])
def test_a_damaged_line_is_told(text: bytes) -> None:
    with pytest.raises(UserError, match="note of commit 1234 is damaged"):
        read_lines(text, "1234")


@pytest.mark.parametrize("record", [{}, {"status": "no such"}, {"status": "ok"}, {"status": "ok", "score": "x"}])
def test_a_line_that_is_no_outcome_is_told(record: dict[str, object]) -> None:
    with pytest.raises(UserError, match="note of commit 1234 is damaged"):
        outcome_of(record, 0, "1234")
