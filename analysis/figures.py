"""Figures, each a pure function of frames that draws on a matplotlib Axes and returns it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize

from analysis.frames import Frames


def lineage(frames: Frames, axes: Axes) -> Axes:
    """The family tree: births to the right, score upwards, every line from a parent to its child.

    Colour is the score; the best individual's lineage of first parents is drawn strong, a second parent's
    line dotted. Individuals without a score stand as crosses on the lower edge. The score axis spans from
    the best to a little beyond the seed genome, so that a few very bad offspring do not flatten the rest.
    """
    table = frames.individuals
    scores = table["score"].to_numpy(dtype=float)
    better = -scores if frames.minimise else scores
    seed = better[0] if len(better) and np.isfinite(better[0]) else np.nanmin(better)
    top = np.nanmax(better)
    floor = seed - 0.6 * max(top - seed, 1e-9)
    height = np.where(np.isfinite(better), np.maximum(better, floor), floor)
    position = {int(id): (float(x), float(y)) for x, (id, y) in enumerate(zip(table.index, height, strict=True))}
    strong = set(table.index[table["champion"]])
    thin, dotted, bold = [], [], []
    for parent, child, rank in frames.edges.itertuples(index=False):
        line = [position[parent], position[child]]
        if rank:
            dotted.append(line)
        elif parent in strong and child in strong:
            bold.append(line)
        else:
            thin.append(line)
    axes.add_collection(LineCollection(thin, colors="0.8", linewidths=0.6, zorder=1))
    axes.add_collection(
        LineCollection(dotted, colors="tab:purple", linewidths=0.6, linestyles=":", zorder=1, alpha=0.6)
    )
    axes.add_collection(LineCollection(bold, colors="tab:red", linewidths=2.2, zorder=2))
    norm = Normalize(floor, top)
    good = np.isfinite(better)
    births = np.arange(len(table))
    size = 22 if len(table) <= 1000 else 8
    axes.scatter(births[good], height[good], c=height[good], cmap="viridis", norm=norm, s=size, zorder=3)
    axes.scatter(births[~good], height[~good], marker="x", c="0.6", s=size, linewidths=0.8, zorder=3)
    axes.plot([], [], color="tab:red", lw=2.2, label="lineage of the best")
    axes.plot([], [], color="tab:purple", lw=1, ls=":", label="second parent of a crossover")
    axes.plot([], [], color="0.6", marker="x", ls="", label="failed, or far below the seed genome's score")
    axes.legend(loc="lower right", frameon=False, fontsize="small")
    if frames.minimise:
        axes.yaxis.set_major_formatter(lambda value, _: f"{-value:.3f}")
    axes.set_xlabel("birth")
    axes.set_ylabel(f"{frames.metric} ({'lower' if frames.minimise else 'higher'} is better, drawn upwards)")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes
