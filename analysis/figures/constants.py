"""Constants over time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.frames import Frames
from analysis.style import BLUE, FAINT, STRONG, Size, dot, figure, legend, note, number, short

MOST = 14  # constants that are drawn


def _size(frames: Frames) -> Size:
    return 4.6, float(np.clip(0.9 + 0.36 * len(drawn(frames)), 2.4, 6.0))


@figure(_size)
def constants(frames: Frames, axes: Axes) -> None:
    """A lane a constant: the values that were tried, by birth, and a line for those of the champion's lineage.

    A lane spans the values that were tried, on a logarithmic scale where they are positive and span a factor of ten;
    to its right stand the seed genome's value and the champion's. Those that the lineage changed come first.
    """
    names = drawn(frames)
    if not names:
        note(axes, "No run reported constants that differ.")
        return
    table = frames.constants
    path = [id for id in (frames.lineage(frames.champion) if frames.champion is not None else [0]) if id in table.index]
    births = int(frames.individuals.index.max())
    many = len(table) > 1500
    for row, name in enumerate(names):
        height = row + 0.38 - 0.76 * lane(table[name])
        axes.axhspan(row - 0.44, row + 0.44, color=FAINT, alpha=0.28, lw=0, zorder=0)
        axes.scatter(table.index, height, s=dot(4 * len(table)), c=BLUE, alpha=0.45, lw=0, rasterized=many, zorder=1)
        line = height.loc[path]
        axes.step([*line.index, births], [*line, line.iloc[-1]], where="post", color=STRONG, lw=1.6, zorder=2)
        before, after = table[name].loc[path[0]], table[name].loc[path[-1]]
        text = f"{number(before)} → {number(after)}" if before != after else number(before)
        axes.text(1.02 * births + 0.5, row, text, va="center", fontsize=7.5)
    axes.set_yticks(range(len(names)), [short(name, 20) for name in names])
    axes.tick_params(axis="y", length=0, labelsize=7.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(-0.02 * births, 1.38 * births)
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= births])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("birth", loc="left")
    axes.scatter([], [], s=8, c=BLUE, label="tried")
    axes.plot([], [], color=STRONG, lw=1.6, label="the champion's lineage")
    legend(axes, 2)


def drawn(frames: Frames) -> list[str]:
    """The constants worth a lane: with more than one value, those that the champion's lineage changed first."""
    table = frames.constants
    distinct = {name: table[name].astype(str).nunique() for name in table}
    path = [id for id in (frames.lineage(frames.champion) if frames.champion is not None else []) if id in table.index]
    changed = {name: table[name].loc[path].astype(str).nunique() > 1 for name in table}
    varied = [str(name) for name in table if distinct[name] > 1]
    return sorted(varied, key=lambda name: (not changed[name], -distinct[name]))[:MOST]


def lane(values: pd.Series[float]) -> pd.Series[float]:
    """The values between 0 and 1; those that are no numbers evenly spread, in the order of their text."""
    numbers = pd.to_numeric(values, errors="coerce") if values.map(_is_number).all() else None
    if numbers is None:
        order = {text: place for place, text in enumerate(sorted(values.astype(str).unique()))}
        numbers = values.astype(str).map(order).astype(float)
    elif numbers.min() > 0 and numbers.max() >= 10 * numbers.min():
        numbers = pd.Series(np.log(numbers.astype(float)), index=values.index)
    span = float(numbers.max() - numbers.min())
    return (numbers.astype(float) - float(numbers.min())) / span if span else numbers.astype(float) * 0 + 0.5


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
