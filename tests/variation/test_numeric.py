"""The numeric operator: within the space, deterministic, learning from failures and foreign rows."""

import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.individual import Direction
from evolve.variation.numeric import Choices, Range, Row, Space, propose

SPACE: Space = {
    "RATE": Range(0.001, 1.0, log=True),
    "DEPTH": Range(1, 12, integer=True),
    "DECAY": Range(0.0, 0.5),
    "KIND": Choices(("a", "b", "c")),
    "TIED": Choices((True, False)),
}


def inside(proposal: dict[str, Any]) -> bool:
    return (
        0.001 <= proposal["RATE"] <= 1.0
        and isinstance(proposal["DEPTH"], int)
        and 1 <= proposal["DEPTH"] <= 12
        and 0.0 <= proposal["DECAY"] <= 0.5
        and proposal["KIND"] in ("a", "b", "c")
        and isinstance(proposal["TIED"], bool)
    )


def value(constants: dict[str, Any]) -> float | None:
    """A valley at rate 0.05, depth 8, kind b; what is deeper than 10 does not fit."""
    if constants["DEPTH"] > 10:
        return None
    score = math.log(constants["RATE"] / 0.05) ** 2 + 0.2 * abs(constants["DEPTH"] - 8) + 4 * constants["DECAY"]
    return score + (constants["KIND"] != "b") * 0.5


def search(seed: int, rows: int, around: bool = True, sign: float = 1.0) -> list[Row]:
    direction = Direction.MIN if sign > 0 else Direction.MAX
    start = {"RATE": 0.9, "DEPTH": 2, "DECAY": 0.3, "KIND": "a", "TIED": True}
    history: list[Row] = []
    constants: dict[str, Any] = start
    for number in range(rows):
        score = value(constants)
        history.append(Row(constants, None if score is None else sign * score))
        measured = [row for row in history if row.score is not None]
        best = min(measured, key=lambda row: sign * (row.score or 0.0)).constants
        constants = propose(SPACE, history, random.Random(f"{seed}/{number}"), best if around else None, direction)
    return history


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-5, 50), st.floats(-1, 2), st.sampled_from(["a", "z"]))
ROWS = st.builds(
    Row,
    st.dictionaries(st.sampled_from([*SPACE, "OTHER"]), VALUES),
    st.one_of(st.none(), st.floats(-10, 10)),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(ROWS, max_size=25), st.integers(0, 1000))
def test_whatever_the_archive_holds_a_proposal_lies_in_the_space(history: list[Row], seed: int) -> None:
    first = propose(SPACE, history, random.Random(seed))
    assert inside(first)
    assert first == propose(SPACE, history, random.Random(seed))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_around_a_parent_something_changes_and_not_everything(seed: int) -> None:
    parent = {"RATE": 0.1, "DEPTH": 4, "DECAY": 0.1, "KIND": "a", "TIED": True, "STRUCTURE": 3}
    proposal = propose(SPACE, [Row(parent, 1.0)], random.Random(seed), parent)
    assert set(proposal) == set(SPACE)
    assert any(proposal[name] != parent[name] for name in SPACE)


def test_it_finds_the_valley_better_than_chance() -> None:
    found, chance = [], []
    for seed in range(4):
        found.append(min(row.score for row in search(seed, 60) if row.score is not None))
        rng = random.Random(seed)
        drawn = (value(propose(SPACE, [], random.Random(rng.random()))) for _ in range(60))
        chance.append(min(score for score in drawn if score is not None))
    assert sum(found) < 0.5 * sum(chance)


def test_a_metric_to_maximise_gives_the_mirror_image() -> None:
    down, up = search(1, 30), search(1, 30, sign=-1.0)
    assert [row.constants for row in down] == [row.constants for row in up]


def test_failures_are_avoided() -> None:
    rng = random.Random(0)
    rows = []
    for _ in range(60):
        constants = propose(SPACE, [], random.Random(rng.random()))
        rows.append(Row(constants, None if constants["DEPTH"] > 6 else 1.0 + 0.01 * rng.random()))
    deep = sum(propose(SPACE, rows, random.Random(seed))["DEPTH"] > 6 for seed in range(30))
    assert deep < 8  # by chance: 15


def test_the_best_of_a_long_history_is_not_forgotten() -> None:
    old = {"RATE": 0.05, "DEPTH": 8, "DECAY": 0.01, "KIND": "b", "TIED": True}
    new = {"RATE": 0.9, "DEPTH": 2, "DECAY": 0.4, "KIND": "a", "TIED": True}
    history = [Row({**old, "RATE": 0.05 + 0.0001 * i}, 0.1) for i in range(40)] + [Row(new, 5.0)] * 500
    assert sum(propose(SPACE, history, random.Random(seed))["KIND"] == "b" for seed in range(20)) > 12


def test_raced_runs_count_as_bad() -> None:
    rng = random.Random(0)
    rows = []
    for _ in range(60):
        constants = propose(SPACE, [], random.Random(rng.random()))
        raced = constants["KIND"] != "b"
        rows.append(Row(constants, None if raced else 1.0 + 0.01 * rng.random(), raced))
    assert sum(propose(SPACE, rows, random.Random(seed))["KIND"] == "b" for seed in range(30)) > 18  # by chance: 10


@pytest.mark.parametrize("bad", [(1.0, 1.0, False), (2.0, 1.0, False), (0.0, 1.0, True)])
def test_ranges_that_are_none_are_refused(bad: tuple[float, float, bool]) -> None:
    with pytest.raises(ValueError, match="not a range"):
        Range(*bad)


def test_nothing_to_tune_is_said() -> None:
    with pytest.raises(ValueError, match="no constant"):
        propose({}, [], random.Random(0))
    with pytest.raises(ValueError, match="at least one choice"):
        Choices(())
