"""Gains of a lineage's steps, and gains against noise."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, SymmetricalLogLocator

from analysis.frames import Frames
from analysis.style import BLUE, FAINT, INK, MUTED, PINK, SKY, STRONG, Size, dot, figure, legend, note, room, short


def _size(frames: Frames) -> Size:
    return 4.6, float(np.clip(1.1 + 0.24 * len(frames.steps), 2.4, 11.0))


@figure(_size)
def gain_per_step(frames: Frames, axes: Axes) -> None:
    """What each step of the champion's lineage gained over its first parent, with 95 % intervals.

    Bars are what the means of the search's runs claim, their intervals from the noise of one run; diamonds, where there
    are any, what `evolve replay` measured on fresh seeds.
    """
    steps = frames.steps
    if steps.empty:
        note(axes, "The champion is the seed genome: no step to show.")
        return
    _bars(steps.assign(gain=steps["claimed"], low=steps["claimed_low"], high=steps["claimed_high"]), axes)
    replayed = steps["gain"].notna()
    if replayed.any():
        rows, known = np.arange(len(steps))[replayed] + 0.2, steps[replayed]
        axes.errorbar(
            known["gain"],
            rows,
            xerr=[known["gain"] - known["low"], known["high"] - known["gain"]],
            fmt="D",
            ms=4,
            color=STRONG,
            elinewidth=1.2,
            capsize=2,
            zorder=4,
            label="replayed",
        )
    axes.set_xlabel(f"gain in {frames.metric}")
    legend(axes, 2)


def effects(table: pd.DataFrame, frames: Frames, axes: Axes | None = None) -> Axes:
    """The gains of a table of `analysis.replay` or `analysis.ablation`, coloured by what their intervals say."""

    @figure((7.0, float(np.clip(1.1 + 0.24 * len(table), 2.4, 11.0))))
    def draw(frames: Frames, axes: Axes) -> None:
        if table.empty:
            note(axes, "Nothing was measured yet.")
            return
        _bars(table, axes)
        axes.set_xlabel(f"gain in {frames.metric}")
        legend(axes, 2)

    return draw(frames, axes)


def _bars(table: pd.DataFrame, axes: Axes) -> None:
    """A bar a row, with `name` and `idea` beside it, `gain` as its length, and a whisker from `low` to `high`."""
    rows = np.arange(len(table))
    certain = (table["low"] > 0) | (table["high"] < 0)
    colours = [(BLUE if gain > 0 else PINK) if sure else SKY for gain, sure in zip(table["gain"], certain, strict=True)]
    axes.barh(rows, table["gain"], color=colours, height=0.68, zorder=2)
    span = [table["gain"] - table["low"], table["high"] - table["gain"]]
    axes.errorbar(table["gain"], rows, xerr=span, fmt="none", ecolor=INK, elinewidth=0.9, capsize=1.8, zorder=3)
    labels = [f"{name} {short(str(idea), room(axes))}" for name, idea in zip(table["name"], table["idea"], strict=True)]
    axes.set_yticks(rows, labels)
    axes.tick_params(axis="y", length=0, labelsize=7.5)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.axvline(0, color=MUTED, lw=0.8)
    axes.grid(axis="x")
    for colour, label in ((BLUE, "a gain beyond noise"), (SKY, "not beyond noise"), (PINK, "a loss beyond noise")):
        if colour in colours:
            axes.barh([0], [0], color=colour, label=label)


@figure()
def noise(frames: Frames, axes: Axes) -> None:
    """The gain that each offspring's first run claimed over its parent, against what noise alone would claim.

    The band holds 95 % of what two runs of one genome differ by. Where an individual had further runs, a line leads
    from what the first one claimed to what the others say.
    """
    claims = claimed_gains(frames)
    if claims.empty:
        note(axes, "No offspring has a score yet.")
        return
    band = 1.96 * np.sqrt(2) * frames.noise
    decade = math.ceil(math.log10(max(band, 1e-9)))  # below it the axis is linear
    axes.set_yscale("symlog", linthresh=10.0**decade, linscale=1.0)
    axes.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=10.0**decade))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+g}" if value else "0")
    axes.axhspan(-band, band, color=FAINT, alpha=0.5, lw=0, zorder=0)
    again = claims[claims["later"].notna()]
    axes.vlines(again.index, again["claimed"], again["later"], color=INK, lw=0.8, alpha=0.7, zorder=2)
    beyond = claims["claimed"] > band
    many = len(claims) > 1500
    for rows, colour, label in (
        (beyond, BLUE, "beyond noise"),
        (~beyond & (claims["claimed"] > 0), SKY, "a gain within noise"),
        (claims["claimed"] <= 0, MUTED, "no gain"),
    ):
        axes.scatter(
            claims.index[rows],
            claims["claimed"][rows],
            s=dot(len(claims)),
            c=colour,
            alpha=0.75,
            lw=0,
            label=f"{label} ({rows.sum()})",
            rasterized=many,
            zorder=3,
        )
    axes.scatter(again.index, again["later"], s=14, marker="_", c=INK, lw=1.2, label="by further runs", zorder=3)
    axes.axhline(0, color=MUTED, lw=0.8, zorder=1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("birth")
    axes.set_ylabel(f"claimed gain in {frames.metric}")
    legend(axes, 2)


def claimed_gains(frames: Frames) -> pd.DataFrame:
    """By id: the gain over the first parent's mean that the first run `claimed`, and what `later` runs say (or NaN)."""
    runs = frames.evaluations[frames.evaluations["score"].notna()]
    first = runs[runs["kind"] == "first"].groupby("individual")["score"].first()
    later = runs[runs["kind"].isin(("replicate", "choice"))].groupby("individual")["score"].mean()
    edges = frames.edges[frames.edges["rank"] == 0].set_index("child")["parent"]
    origin = edges.map(frames.individuals["score"])
    claims = pd.DataFrame({"claimed": frames.sign * (first - origin), "later": frames.sign * (later - origin)})
    return claims[claims["claimed"].notna()]
