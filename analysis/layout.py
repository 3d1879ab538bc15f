"""Where the individuals of a lineage graph stand: a row a generation, children below their parents."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.frames import Frames


def layered(frames: Frames) -> pd.DataFrame:
    """Columns `x` and `y` (the generation) of everyone, by id, so that neighbours of a row are at least 1 apart.

    Within a row individuals stand in the order of their first parents, and as near below these as that allows
    (least squares under the distance of 1: isotonic regression by pooling adjacent violators). The
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
    x: dict[int, float] = {}
    for _, row in table.groupby("generation", sort=True):
        wanted = [(x.get(parents.get(id, -1), 0.0), side[id], id) for id in row.index.tolist()]
        wanted.sort()
        middle = [place for place, (_, _, id) in enumerate(wanted) if id in spine]
        at = _wishes([centre for centre, _, _ in wanted])
        if middle:
            cut = middle[0]
            left = _apart([-wish for wish in reversed(at[:cut])], 1.0)
            places = [-place for place in reversed(left)] + [0.0] + _apart(at[cut + 1 :], 1.0)
        else:
            places = _apart(at, None)
        x |= {id: place for (_, _, id), place in zip(wanted, places, strict=True)}
    return pd.DataFrame({"x": pd.Series(x, dtype=float), "y": table["generation"].astype(float)}).reindex(table.index)


def _wishes(centres: Sequence[float]) -> list[float]:
    """For children in the order of their parents' places: those of one parent side by side around it."""
    wishes: list[float] = []
    start = 0
    for end in range(1, len(centres) + 1):
        if end == len(centres) or centres[end] != centres[start]:
            count = end - start
            wishes += [centres[start] + place - (count - 1) / 2 for place in range(count)]
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
