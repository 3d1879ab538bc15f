"""The clock of a box."""

from __future__ import annotations

import time

import pytest

from gpt.clock import Clock, Pace


def test_a_clock_that_is_not_open_does_not_run() -> None:
    clock = Clock(0.01)
    time.sleep(0.02)
    assert not clock.opened
    assert clock.elapsed == 0
    assert clock.progress == 0
    assert not clock.over


def test_progress_ends_at_one_and_the_box_is_over() -> None:
    clock = Clock(0.01)
    clock.open()
    time.sleep(0.02)
    assert clock.progress == 1
    assert clock.over
    assert clock.elapsed > 0.01


def test_closing_keeps_the_time() -> None:
    clock = Clock(60)
    clock.open()
    clock.close()
    elapsed = clock.elapsed
    time.sleep(0.01)
    assert clock.elapsed == elapsed
    assert clock.over


def test_opens_and_closes_once() -> None:
    clock = Clock(60)
    clock.open()
    with pytest.raises(RuntimeError, match="one time box"):
        clock.open()
    clock.close()
    with pytest.raises(RuntimeError, match="closed already"):
        clock.close()


def test_the_pace_knows_the_longest_step_and_the_last() -> None:
    now = iter([1.0, 3.0, 3.0, 4.0, 4.0, 9.0]).__next__
    pace = Pace(now)
    assert (pace.longest, pace.since) == (0.0, 0.0)
    pace.serve()  # at 1
    pace.serve()  # 2 seconds later
    pace.serve()  # and 1 more
    assert (pace.longest, pace.since) == (2.0, 5.0)
