"""Learning curves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from analysis.frames import Frames
from analysis.style import FAINT, INK, ORANGE, STRONG, figure, legend, note

MOST = 400  # finished curves, the latest, that are drawn


@figure()
def learning_curves(frames: Frames, axes: Axes) -> None:
    """Training loss over the time box of first runs; raced ones end where they were stopped."""
    first = frames.evaluations[frames.evaluations["kind"] == "first"]
    curves = frames.curves[frames.curves["evaluation"].isin(first.index) & frames.curves["loss"].notna()]
    if curves.empty:
        note(axes, "No learning curve yet.")
        return
    status = first["status"]
    lines: dict[int, NDArray[np.float64]] = {
        int(str(number)): rows.to_numpy() for number, rows in curves.groupby("evaluation")[["progress", "loss"]]
    }
    finished = [number for number in lines if status[number] == "ok"]
    raced = [number for number in lines if status[number] == "raced"]
    for numbers, colour, width, label in (
        (finished[-MOST:], FAINT, 0.7, f"finished ({len(finished)})"),
        (raced[-MOST:], ORANGE, 0.9, f"raced: stopped early ({len(raced)})"),
    ):
        if numbers:
            axes.add_collection(
                LineCollection(
                    [lines[n] for n in numbers],
                    colors=colour,
                    lw=width,
                    alpha=float(np.clip(30 / len(numbers), 0.25, 1.0)),
                    rasterized=len(numbers) > 150,
                )
            )
            axes.plot([], [], color=colour, lw=2, label=label)
    if raced:
        ends = np.array([lines[number][-1] for number in raced[-MOST:]])
        axes.scatter(
            ends[:, 0], ends[:, 1], marker="x", c=ORANGE, s=14, lw=1.0, alpha=0.8, zorder=3, rasterized=len(raced) > 150
        )
    _one(frames, axes, lines, first, 0, INK, "seed genome")
    if frames.champion:
        _one(frames, axes, lines, first, frames.champion, STRONG, f"champion #{frames.champion}")
    late = curves[curves["progress"] > 0.15]["loss"] if (curves["progress"] > 0.15).any() else curves["loss"]
    seed = [lines[number][-1, 1] for number in first.index[first["individual"] == 0] if number in lines]
    low, high = float(late.min()), float(max([late.quantile(0.97), *seed]))
    axes.set_ylim(low - 0.05 * (high - low + 1e-9), high + 0.25 * (high - low + 1e-9))
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel(f"share of the time box ({frames.time_box:g} s)")
    axes.set_ylabel("training loss")
    legend(axes, 2)


def _one(
    frames: Frames,
    axes: Axes,
    lines: Mapping[int, NDArray[np.float64]],
    first: pd.DataFrame,
    individual: int,
    colour: str,
    label: str,
) -> None:
    for number in first.index[first["individual"] == individual]:
        if number in lines:
            axes.plot(*lines[number].T, color=colour, lw=1.8, label=label, zorder=4)
