"""Places of a lineage graph: laws that hold for any archive."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from analysis import Frames
from analysis.layout import LEAST_ABREAST, _apart, layered


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=30))
def test_places_are_the_nearest_to_the_wishes_that_are_one_apart(wishes: list[int]) -> None:
    places = np.array(_apart([float(wish) for wish in wishes], None))
    assert (np.diff(places) >= 1 - 1e-9).all()
    index = np.arange(len(wishes))
    best = IsotonicRegression().fit_transform(index, np.array(wishes, dtype=float) - index) + index
    np.testing.assert_allclose(places, best, atol=1e-6)


@given(st.lists(st.integers(-50, 50), max_size=30), st.integers(-5, 5))
def test_nobody_stands_before_the_least_place(wishes: list[int], least: int) -> None:
    places = _apart([float(wish) for wish in wishes], float(least))
    assert all(place >= least - 1e-9 for place in places)
    assert all(b - a >= 1 - 1e-9 for a, b in itertools.pairwise(places))


@st.composite
def families(draw: st.DrawFn) -> tuple[list[tuple[int, ...]], int]:
    """Parents of each individual, and who is the champion."""
    parents: list[tuple[int, ...]] = [()]
    for id in range(1, draw(st.integers(2, 40))):
        first, second = draw(st.integers(0, id - 1)), draw(st.integers(0, id - 1))
        parents.append((first, second) if second != first and draw(st.booleans()) else (first,))
    return parents, draw(st.integers(0, len(parents) - 1))


@given(families())
def test_the_champions_lineage_is_straight_and_nobody_stands_on_another(
    family: tuple[list[tuple[int, ...]], int],
) -> None:
    parents, champion = family
    frames = frames_of(parents, champion)
    places = layered(frames)
    span = places["y"].groupby(frames.individuals["generation"]).agg(["min", "max"])
    assert (span["min"].iloc[1:].to_numpy() >= span["max"].iloc[:-1].to_numpy() + 1 - 1e-9).all()
    path = frames.lineage(champion)
    assert (places.loc[path, "x"] == 0).all()
    for _, row in places.groupby("y"):
        assert (np.diff(np.sort(row["x"])) >= 1 - 1e-9).all()
        assert (row.loc[~row.index.isin(path), "x"].abs() >= 1 - 1e-9).all() or not row.index.isin(path).any()
    pd.testing.assert_frame_equal(places, layered(frames))


def frames_of(parents: list[tuple[int, ...]], champion: int) -> Frames:
    """Frames of which only the family is there."""
    generation = [0]
    for own in parents[1:]:
        generation.append(1 + max(generation[one] for one in own))
    edges = [(parent, child, rank) for child, own in enumerate(parents) for rank, parent in enumerate(own)]
    empty = pd.DataFrame()
    nobody = pd.DataFrame({"generation": pd.Series(dtype=int), "name": pd.Series(dtype=object)})
    tables = (empty, empty, nobody, empty, empty, empty, empty, empty, empty)
    frames = Frames(*tables, "", "", "val_bpb", True, 1.0, 0.1, champion)
    frames = replace(frames, edges=pd.DataFrame(edges, columns=["parent", "child", "rank"], dtype=int))
    table = pd.DataFrame({"generation": generation}, index=pd.RangeIndex(len(parents)))
    table["champion"] = table.index.isin(frames.lineage(champion))
    return replace(frames, individuals=table)


def test_a_generation_is_one_row_until_it_is_very_large() -> None:
    few = layered(frames_of([(), *[(0,)] * LEAST_ABREAST, (1,)], 1))
    assert sorted(few["y"].unique()) == [0.0, 1.0, 2.0]
    many = layered(frames_of([(), *[(0,)] * 500, (1,)], 1))
    assert many["x"].max() - many["x"].min() < 40
    rows = many["y"].iloc[1:-1].value_counts()
    assert len(rows) == 19 and rows.max() - rows.min() <= 1
    assert many["y"].iloc[-1] == many["y"].iloc[1:-1].max() + 1
    beside = many.iloc[2:-1]
    assert (beside["x"].abs() >= 1 - 1e-9).all()  # the champion's line passes through all rows
    assert (beside.groupby("y")["x"].agg(lambda x: np.diff(np.sort(x)).min()) >= 1 - 1e-9).all()
