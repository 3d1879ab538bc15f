"""Gains of a lineage's steps, and gains against noise."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import SymmetricalLogLocator

from analysis.frames import Frames
from analysis.style import BLUE, FAINT, INK, MUTED, SKY, STRONG, Size, figure, legend, note, room, short


def _size(frames: Frames) -> Size:
    return 5.0, float(np.clip(0.9 + 0.24 * int(frames.individuals["champion"].sum()), 2.4, 11.0))


@figure(_size)
def gain_per_step(frames: Frames, axes: Axes) -> None:
    """What each step of the champion's lineage gained over its first parent, by the means of their runs.

    The bars' whiskers are 95 % intervals from the noise of one run and the number of runs on both sides.
    """
    steps = step_gains(frames)
    if steps.empty:
        note(axes, "The champion is the seed genome: no step to show.")
        return
    rows = np.arange(len(steps))
    colours = [
        STRONG if high < 0 else BLUE if low > 0 else SKY for low, high in zip(steps["low"], steps["high"], strict=True)
    ]
    axes.barh(rows, steps["gain"], color=colours, height=0.68, zorder=2)
    half = steps["high"] - steps["gain"]
    axes.errorbar(steps["gain"], rows, xerr=half, fmt="none", ecolor=INK, elinewidth=0.9, capsize=1.8, zorder=3)
    axes.set_yticks(rows, [f"#{id} {short(str(idea), room(axes))}" for id, idea in steps["idea"].items()])
    axes.tick_params(axis="y", length=0, labelsize=7.5)
    axes.set_ylim(len(steps) - 0.4, -0.6)
    axes.axvline(0, color=MUTED, lw=0.8)
    axes.grid(axis="x")
    axes.set_xlabel(f"gain in {frames.metric}")
    for colour, label in ((BLUE, "beyond noise"), (SKY, "within noise"), (STRONG, "harmful")):
        if colour in colours:
            axes.barh([0], [0], color=colour, label=label)
    legend(axes, 3)


def step_gains(frames: Frames) -> pd.DataFrame:
    """By id, of the champion's lineage without the seed genome: idea, gain, and its 95 % interval low to high."""
    table = frames.individuals
    line = frames.lineage(frames.champion) if frames.champion is not None else [0]
    rows = []
    for parent, child in itertools.pairwise(line):
        runs = [int(table.at[id, "runs"]) for id in (parent, child)]
        half = 1.96 * frames.noise * float(np.sqrt(sum(1 / max(1, count) for count in runs)))
        gain = float(table.at[child, "gain"])
        rows.append((child, table.at[child, "idea"], gain, gain - half, gain + half))
    return pd.DataFrame(rows, columns=["id", "idea", "gain", "low", "high"]).set_index("id")


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
            s=8 if len(claims) < 300 else 4,
            c=colour,
            alpha=0.75,
            lw=0,
            label=f"{label} ({rows.sum()})",
            rasterized=many,
            zorder=3,
        )
    axes.scatter(again.index, again["later"], s=14, marker="_", c=INK, lw=1.2, label="by further runs", zorder=3)
    axes.axhline(0, color=MUTED, lw=0.8, zorder=1)
    axes.set_xlabel("birth")
    axes.set_ylabel(f"claimed gain in {frames.metric}")
    legend(axes, 2)


def claimed_gains(frames: Frames) -> pd.DataFrame:
    """By id: the gain over the first parent's mean that the first run `claimed`, and what `later` runs say (or NaN)."""
    runs = frames.evaluations[frames.evaluations["score"].notna()]
    first = runs[runs["kind"] == "first"].groupby("individual")["score"].first()
    later = runs[runs["kind"] != "first"].groupby("individual")["score"].mean()
    edges = frames.edges[frames.edges["rank"] == 0].set_index("child")["parent"]
    origin = edges.map(frames.individuals["score"])
    claims = pd.DataFrame({"claimed": frames.sign * (first - origin), "later": frames.sign * (later - origin)})
    return claims[claims["claimed"].notna()]
