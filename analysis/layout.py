"""Where the individuals of a lineage graph stand: a row a generation, children below their parents."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from analysis.frames import Frames

LEAST_ABREAST = 24  # individuals of a generation that stand side by side, however few there are in all
STACKED = 0.6  # distance between the rows of one generation, where it has several


def layered(frames: Frames) -> pd.DataFrame:
    """Columns `x` and `y` of everyone, by id, so that neighbours of a row are at least 1 apart.

    A generation is a row below the one before; a very large one is several rows, so that the graph does not become far
    wider than high. `y` is the generation as long as none is.

    Within a generation individuals stand in the order of their first parents, and as near below these as that allows
    (least squares under the distance: isotonic regression by pooling adjacent violators). The
    champion's lineage is a straight line at x = 0, its sisters spread to both sides.
    """
    table = frames.everyone
    first = frames.edges.loc[frames.edges["rank"] == 0]
    parents: dict[int, int] = dict(zip(first["child"].tolist(), first["parent"].tolist(), strict=True))
    spine = set(table.index[table["champion"]].tolist())
    sisters: dict[int, int] = {}  # children of each parent so far
    side: dict[int, int] = {}
    for id in table.index.tolist():
        parent = parents.get(id, -1)
        sisters[parent] = sisters.get(parent, 0) + 1
        side[id] = 0 if id in spine else 1 - 2 * (sisters[parent] % 2)
    abreast = max(LEAST_ABREAST, round(1.2 * math.sqrt(len(table))))
    x: dict[int, float] = {}
    y: dict[int, float] = {}
    top = 0.0
    for _, row in table.groupby("generation", sort=True):
        wanted = [(x.get(parents.get(id, -1), 0.0), side[id], id) for id in row.index.tolist()]
        wanted.sort()
        middle = [place for place, (_, _, id) in enumerate(wanted) if id in spine]
        rows = -(-len(wanted) // abreast)
        at = [rows * wish for wish in _wishes([centre for centre, _, _ in wanted], 1 / rows)]
        if middle:
            cut = middle[0]
            left = _apart([-wish for wish in reversed(at[:cut])], rows)
            places = [-place for place in reversed(left)] + [0.0] + _apart(at[cut + 1 :], rows)
        else:
            cut, places = 0, _apart(at, None)
        x |= {id: place / rows for (_, _, id), place in zip(wanted, places, strict=True)}
        y |= {id: top + STACKED * ((place - cut) % rows) for place, (_, _, id) in enumerate(wanted)}
        top += 1 + STACKED * (rows - 1)
    return pd.DataFrame({"x": pd.Series(x, dtype=float), "y": pd.Series(y, dtype=float)}).reindex(table.index)


def _wishes(centres: Sequence[float], apart: float) -> list[float]:
    """For children in the order of their parents' places: those of one parent so far apart around it."""
    wishes: list[float] = []
    start = 0
    for end in range(1, len(centres) + 1):
        if end == len(centres) or centres[end] != centres[start]:
            count = end - start
            wishes += [centres[start] + apart * (place - (count - 1) / 2) for place in range(count)]
            start = end
    return wishes


def _apart(wishes: Sequence[float], least: float | None) -> list[float]:
    """The places nearest to the wishes, in this order, 1 apart, none below `least`."""
    pools: list[tuple[float, int]] = []  # (mean, how many) of what has to stand side by side
    for index, wish in enumerate(wishes):
        mean, count = wish - index, 1
        while pools and pools[-1][0] > mean:
            other, others = pools.pop()
            mean, count = (mean * count + other * others) / (count + others), count + others
        pools.append((mean, count))
    means = [mean for mean, count in pools for _ in range(count)]
    return [index + (mean if least is None else max(mean, least)) for index, mean in enumerate(means)]
