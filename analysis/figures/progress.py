"""Scores over evaluations."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from analysis.frames import Frames
from analysis.style import BLUE, FAINT, INK, MUTED, OUTCOMES, STRONG, dot, figure, legend, note

MANY = 1500  # marks, from which on a figure holds them as a picture


@figure()
def progress(frames: Frames, axes: Axes) -> None:
    """Every evaluation in order of arrival, the best mean so far, and what fresh runs confirmed with 95 % intervals.

    Fresh runs are scored on a validation split of their own, so their means compare with each other alone.

    The score axis spans from the best to a little beyond the seed genome; what is worse, and every run that gave
    no score, is a tick at the edge of the worse, coloured by its outcome.
    """
    table = frames.evaluations[frames.evaluations["kind"] != "fresh"]
    scored = table["score"].notna()
    if not scored.any():
        note(axes, "No evaluation has a score yet.")
        return
    better = frames.sign * table["score"]
    best = running_best(frames)
    known = frames.sign * frames.individuals["confirmed"]
    seed, top = float(better[scored].iloc[0]), float(max(better[scored].max(), best.max(), known.fillna(-np.inf).max()))
    floor = seed - 0.35 * max(top - seed, 4 * frames.noise)
    inside = scored & (better >= floor)
    first = table["kind"] == "first"
    many = len(table) > MANY
    for rows, colour, label in (
        (inside & first, BLUE, "first run"),
        (inside & ~first, MUTED, "further run"),
    ):
        axes.scatter(
            table.index[rows],
            table["score"][rows],
            s=dot(len(table)),
            c=colour,
            alpha=0.75,
            lw=0,
            label=f"{label} ({rows.sum()})",
            rasterized=many,
        )
    axes.step(best.index, frames.sign * best, where="post", color=STRONG, lw=1.8, label="best mean so far", zorder=3)
    _confirmed(frames, axes)
    axes.set_ylim(*sorted((frames.sign * floor, frames.sign * (top + 0.06 * (top - floor)))))
    _edge(frames, axes, table[~inside], many)
    axes.axhline(frames.sign * seed, color=FAINT, lw=1, zorder=0)
    axes.set_xlabel("evaluation")
    axes.set_ylabel(f"{frames.metric} ({'lower' if frames.minimise else 'higher'} is better)")
    legend(axes, 3)
    axes.set_xlim(-0.01 * len(frames.evaluations) - 0.5, 1.1 * len(frames.evaluations))


def running_best(frames: Frames) -> pd.Series[float]:
    """By evaluation, of the search's runs: the best mean of an individual so far, signed so that more is better.

    A mean moves with every further run, so the line may fall back.
    """
    rows = frames.evaluations[frames.evaluations["kind"] != "fresh"]
    sums: dict[int, tuple[float, int]] = {}
    means: dict[int, float] = {}
    best, line = -np.inf, {}
    for number, individual, score in zip(rows.index, rows["individual"], frames.sign * rows["score"], strict=True):
        if score == score:
            total, count = sums.get(individual, (0.0, 0))
            sums[individual] = total + score, count + 1
            before = means.get(individual, -np.inf)
            means[individual] = (total + score) / (count + 1)
            # The best falls only with the one that holds it: everybody else is asked no more often than that.
            best = max(means.values()) if before == best else max(best, means[individual])
        if best > -np.inf:
            line[int(number)] = best
    return pd.Series(line, dtype=float)


def _confirmed(frames: Frames, axes: Axes) -> None:
    known = frames.individuals[frames.individuals["confirmed"].notna()]
    fresh = frames.evaluations[frames.evaluations["kind"] == "fresh"]
    for id, row in known.iterrows():
        at = fresh.index[fresh["individual"] == id][-1]
        value = row["confirmed"]
        axes.errorbar(
            at,
            value,
            yerr=[[value - row["confirmed_low"]], [row["confirmed_high"] - value]],
            fmt="D" if id else "s",
            ms=4,
            color=INK,
            capsize=3,
            lw=1.4,
            zorder=4,
            label="confirmed, 95 % interval" if id == known.index[-1] else None,
        )
        axes.annotate(f"#{id}" if id else "seed", (at, value), xytext=(6, 0), textcoords="offset points", va="center")


def _edge(frames: Frames, axes: Axes, outside: pd.DataFrame, many: bool) -> None:
    """Ticks at the worse edge, an outcome a colour."""
    where = blended_transform_factory(axes.transData, axes.transAxes)
    span = (0.965, 1.0) if frames.minimise else (0.0, 0.035)
    for status, rows in outside.groupby("status"):
        name = "far worse" if status == "ok" else str(status).replace("_", " ")
        axes.vlines(
            rows.index,
            *span,
            transform=where,
            colors=OUTCOMES[str(status)],
            lw=1.2,
            label=f"{name} ({len(rows)})",
            rasterized=many,
        )
