"""The family tree."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.patheffects import withStroke

from analysis.frames import Frames
from analysis.layout import layered
from analysis.style import FAINT, GREEN, INK, MUTED, SCORES, Size, figure, note, short

ALL_LABELLED = 30  # individuals, up to which each has its number beside it
MOST_LABELS = 45  # of the champion's lineage
MOST_TICKS = 16  # generations that are named


def _size(frames: Frames) -> Size:
    rows = float(layered(frames)["y"].max()) + 1 if len(frames.individuals) else 1
    return 9.0, float(np.clip(1.2 + 0.34 * rows, 4.0, 15.0))


@figure(_size)
def lineage(frames: Frames, axes: Axes) -> None:
    """A row a generation (several, where it is very large), the seed genome on top; lines join parents to children.

    Colour is the score, the champion's lineage of first parents a strong line down the middle. Crossovers are
    diamonds, with a dashed line to the second parent; failures are crosses, runs to come hollow. Hollow squares are
    genomes that `evolve ablate`, `prune` and `transfer` made: their scores are of another split, and have no colour.
    """
    table = frames.individuals
    if table.empty:
        note(axes, "No individual yet.")
        return
    place = layered(frames)
    xy = {int(id): (float(x), float(y)) for id, x, y in place.itertuples()}
    path = set(table.index[table["champion"]].tolist())
    thin: list[list[tuple[float, float]]] = []
    dashed, bold = list(thin), list(thin)
    for parent, child, rank in frames.edges.itertuples(index=False):
        lines = dashed if rank else bold if parent in path and child in path else thin
        lines.append([xy[parent], xy[child]])
    fine = float(np.clip(30 / len(table) ** 0.5, 0.5, 1.0))
    axes.add_collection(LineCollection(thin, colors=FAINT, linewidths=0.9 * fine, zorder=1))
    axes.add_collection(
        LineCollection(
            dashed, colors=GREEN, linewidths=0.8 * fine, linestyles=(0, (4, 2)), alpha=max(0.35, 0.8 * fine), zorder=1
        )
    )
    axes.add_collection(
        LineCollection(bold, colors=INK, linewidths=3.0 if len(table) <= 300 else 2.0, zorder=2, capstyle="round")
    )
    size = float(np.clip(1800 / len(table), 7, 60))
    made = place.loc[frames.derived.index]
    axes.scatter(made["x"], made["y"], marker="s", facecolors="white", edgecolors=INK, s=0.7 * size, lw=0.8, zorder=3)
    _nodes(frames, axes, place.loc[table.index], size)
    _labels(frames, axes, xy, path)
    axes.autoscale_view()
    axes.margins(x=0.02)
    axes.invert_yaxis()
    rows = place["y"].groupby(frames.everyone["generation"]).min()
    step = -(-len(rows) // MOST_TICKS)
    axes.set_yticks(rows.iloc[::step], [str(generation) for generation in rows.index[::step]])
    axes.set_ylabel("generation")
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.plot([], [], color=INK, lw=3, label="the champion's lineage")
    axes.plot([], [], color=GREEN, lw=1, ls="--", label="second parent")
    axes.plot([], [], color=MUTED, marker="D", ls="", ms=4, label="crossover")
    axes.plot([], [], color=MUTED, marker="x", ls="", ms=5, label="no score")
    if len(made):
        axes.plot([], [], color=INK, mfc="white", marker="s", ls="", ms=4, label="made by an operation")
    axes.legend(loc="upper left", bbox_to_anchor=(0, 1.0), fontsize=8)


def _nodes(frames: Frames, axes: Axes, place: pd.DataFrame, size: float) -> None:
    table = frames.individuals
    scored = table["score"].notna().to_numpy()
    crossed = table.index.isin(frames.edges.loc[frames.edges["rank"] == 1, "child"])
    x, y = place["x"].to_numpy(), place["y"].to_numpy()
    waiting = (table["status"] == "pending").to_numpy()
    failed = ~scored & ~waiting
    axes.scatter(x[failed], y[failed], marker="x", c=MUTED, s=0.7 * size, linewidths=0.8, zorder=3)
    axes.scatter(x[waiting], y[waiting], facecolors="none", edgecolors=MUTED, s=size, linewidths=0.8, zorder=3)
    if not scored.any():
        return
    better = frames.sign * table["score"].to_numpy(dtype=float)
    norm = score_range(frames)
    for marker, chosen in (("o", scored & ~crossed), ("D", scored & crossed)):
        axes.scatter(
            x[chosen],
            y[chosen],
            c=better[chosen],
            cmap=SCORES,
            norm=norm,
            marker=marker,
            s=size if marker == "o" else 0.8 * size,
            edgecolors=INK if len(table) <= 200 else "none",
            linewidths=0.5,
            zorder=3,
        )
    mappable = axes.collections[-1]
    bar = axes.figure.colorbar(mappable, ax=axes, shrink=0.5, anchor=(0.0, 1.0), pad=0.02, aspect=25)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{frames.sign * value:.3f}")
    bar.set_label(f"{frames.metric} (best on top)")
    bar.outline.set_visible(False)


def score_range(frames: Frames) -> Normalize:
    """The signed scores that colours tell apart: from those that one in ten is worse than to the best."""
    better = (frames.sign * frames.individuals["score"]).dropna().to_numpy(dtype=float)
    top = float(better.max())
    floor = float(np.quantile(better, 0.1))
    return Normalize(floor - 0.1 * max(top - floor, 1e-9), top, clip=True)


def _labels(frames: Frames, axes: Axes, xy: dict[int, tuple[float, float]], path: set[int]) -> None:
    table = frames.everyone
    few = len(table) <= ALL_LABELLED
    ids = table.index.tolist() if few else sorted(path)
    step = max(1, -(-len(ids) // MOST_LABELS))
    chosen = [id for place, id in enumerate(ids) if place % step == 0 or id == ids[-1]]
    halo = [withStroke(linewidth=2.5, foreground="white")]
    for id in chosen:
        told = few and id in path
        name, idea = (str(table.at[id, column]) for column in ("name", "idea"))
        axes.annotate(
            f"{name} {short(idea, 34)}" if told else name,
            xy[id],
            # An idea is long: above the others of the row.
            xytext=(6, 6 if told else 0),
            textcoords="offset points",
            va="bottom" if told else "center",
            fontsize=7,
            weight="bold" if id in path else "normal",
            path_effects=halo,
            zorder=4,
        )
