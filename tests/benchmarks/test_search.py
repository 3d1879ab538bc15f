"""What the benchmark of the whole search is measured by: the best racing rule, and results that are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the benchmarks need the extra 'bench'")

from benchmarks.oracle import best_saving
from benchmarks.search import Results, boxes_to
from benchmarks.simulation import Result


def test_the_best_rule_stops_what_is_hopeless_at_once_and_little_of_what_enters() -> None:
    hopeless, good = [-1.0] * 30, [0.001] * 30
    assert best_saving(hopeless, [False] * 30, 0.01) / 30 == pytest.approx(0.925, abs=0.001)  # from the third point on
    assert best_saving(hopeless, [True] * 30, 0.01) / 30 == pytest.approx(0.3, abs=0.001)
    assert best_saving(good, [False] * 30, 0.01) / 30 < 0.01
    assert best_saving([float("inf")] * 30, [False] * 30, 0.01) == 0.0


def test_the_best_rule_saves_more_where_it_may_err_more() -> None:
    rng = np.random.default_rng(0)
    leads = list(-0.003 * np.abs(rng.standard_normal(60))) + [0.0005] * 30
    saved = [best_saving(leads, [False] * 90, bound) for bound in (0.001, 0.01, 0.1)]
    assert 0 < saved[0] < saved[1] < saved[2] < 60


def test_finished_searches_are_kept_and_others_data_are_not_mixed_in(tmp_path: Path) -> None:
    trials, other = tmp_path / "trials.csv", tmp_path / "other.csv"
    trials.write_text("a")
    other.write_text("b")
    results = Results(tmp_path / "kept.jsonl", trials)
    assert results.known() == {}
    result = Result([0.98, 0.97], [0.0], [0.99, 0.98], 1.5, 20.0, 1, 9, [float("inf"), -0.001], [False, True])
    results.add(("evolve", 3), result)
    assert Results(tmp_path / "kept.jsonl", trials).known() == {("evolve", 3): result}
    assert Results(tmp_path / "kept.jsonl", other).known() == {}


def test_boxes_to_a_goal_are_those_of_the_median() -> None:
    results = [
        Result(trace=[0.99, 0.98, 0.97, 0.96]),
        Result(trace=[0.99, 0.97, 0.96]),
        Result(trace=[1.0, 0.99, 0.98]),
    ]
    assert boxes_to(0.98, results) == 2
    assert boxes_to(0.9, results) is None
    assert boxes_to(None, results) is None
