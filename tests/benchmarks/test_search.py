"""The benchmark of the whole search, on a surrogate of a made-up file: budgets, racing and reports."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="the benchmarks need the extra 'bench'")

import benchmarks.search as benchmark
from benchmarks.search import BUDGETS, ENGINE, POP, Result, Simulation
from benchmarks.surrogate import Surrogate
from evolve.archive.repository import Archive
from evolve.individual import Status
from tests.benchmarks.test_surrogate import surrogate, trials

__all__ = ["surrogate", "trials"]  # fixtures


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "BUDGETS", (30, 70))


@pytest.mark.parametrize("name", ["greedy", "greedy, 2 sigma", "evolve"])
def test_a_search_is_reported_at_every_budget(surrogate: Surrogate, tmp_path: Path, name: str) -> None:
    simulation = Simulation(surrogate, ENGINE[name], 3, tmp_path)
    result = simulation.run()
    assert len(result.true) == len(result.optimism) == 2
    assert all(math.isfinite(value) for value in result.true)
    assert result.true[-1] <= result.true[0] + 0.001
    assert len(result.trace) >= 50
    with Archive.open(tmp_path / "archive.git") as archive:
        outcomes = [outcome for _, outcome in archive.in_order()]
    boxes = sum(1 - outcome.seconds["training"] / 300 for outcome in outcomes if outcome.status is Status.RACED)
    assert result.saved == pytest.approx(boxes, abs=1.01)  # the last trial may be in one and not in the other
    if name != "evolve":
        assert result.saved == 0 and all(outcome.replicate == 0 for outcome in outcomes)


def test_what_is_switched_off_is_off(surrogate: Surrogate, tmp_path: Path) -> None:
    for name, missing in (("evolve without numeric", "numeric"), ("evolve without crossover", "crossover")):
        simulation = Simulation(surrogate, ENGINE[name], 1, tmp_path / missing)
        simulation.run()
        assert missing not in {one.operator for one in simulation.archive.individuals.values()}
    simulation = Simulation(surrogate, ENGINE["evolve without replicates"], 1, tmp_path / "replicates")
    simulation.run()
    assert simulation.evolution.replicates == 0 and simulation.evolution.pop == POP


def test_a_row_of_the_table_says_what_was_measured() -> None:
    results = [Result([0.98] * 4, [0.0001 * k] * 4, [1.0, 0.979, 0.97], 2.0, 10.0, 1, 20) for k in range(3)]
    row = benchmark._row("evolve", results, 0.979)
    assert "0.00010" in row and "20.0 %" in row and "5.0 % (3/60)" in row and row.endswith("| 2 |")
    assert len(BUDGETS) == 4
