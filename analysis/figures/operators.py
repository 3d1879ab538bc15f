"""Operators and models compared."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.frames import Frames
from analysis.style import BLUE, FAINT, MUTED, SKY, Size, figure, legend, note, short

KINDS = (("better", BLUE, "better than its parent"), ("not_better", SKY, "not better"), ("failed", FAINT, "no score"))

LONGEST = 20  # characters of an operator's or a model's name


def _size(frames: Frames) -> Size:
    return 4.6, float(np.clip(1.5 + 0.36 * len(compared(frames)), 2.4, 9.0))


@figure(_size)
def operators(frames: Frames, axes: Axes) -> None:
    """Births of each operator (and model) by how they ended, its success, and what it gained for its cost."""
    table = compared(frames)
    if table.empty:
        note(axes, "No offspring yet.")
        return
    rows = np.arange(len(table))
    left = np.zeros(len(table))
    for column, colour, label in KINDS:
        axes.barh(rows, table[column], left=left, color=colour, height=0.66, label=label)
        left += table[column].to_numpy(dtype=float)
    names = ["\n".join(short(part, LONGEST) for part in both if part) for both in table.index]
    axes.set_yticks(rows, names)
    axes.tick_params(axis="y", length=0)
    for row, (_, one) in enumerate(table.iterrows()):
        text = f"{100 * one['success']:.0f} % better, {one['gain_per_hour']:.3g}/h"
        if one["tokens"] > 0:
            text += f"\n{one['tokens'] / 1000:.0f}k tokens" + (f", cost {one['money']:.2g}" if one["money"] > 0 else "")
        axes.text(left[row] + 0.015 * left.max(), row, text, va="center", fontsize=7.5)
    axes.set_xlim(0, 1.55 * left.max())
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xticks([tick for tick in axes.get_xticks() if tick <= 1.02 * left.max()])
    axes.set_xlabel(f"births; gain in {frames.metric} for an hour of a worker", loc="left")
    axes.spines["left"].set_color(MUTED)
    legend(axes, 3)


def compared(frames: Frames) -> pd.DataFrame:
    """A row an operator and model, most births first.

    births; better, not_better, failed: how these ended (pending ones are in none); success: share of better ones among
    those that ended; gain: sum of the gains above zero; hours: of workers, all evaluations of the offspring;
    gain_per_hour; tokens, money: spent on writing (0: none, or unknown).
    """
    table = frames.individuals[frames.individuals.index.isin(frames.edges["child"])]
    rows = pd.DataFrame(
        {
            "operator": table["operator"],
            "model": table["model"].fillna(""),
            "births": 1,
            "better": table["gain"] > 0,
            "not_better": table["score"].notna() & ~(table["gain"] > 0),
            "failed": table["score"].isna() & (table["status"] != "pending"),
            "gain": table["gain"].clip(lower=0).fillna(0.0),
            "hours": table["seconds"] / 3600,
            "tokens": (table["input_tokens"] + table["output_tokens"]).fillna(0.0),
            "money": table["money"].fillna(0.0),
        }
    )
    summed = rows.groupby(["operator", "model"]).sum().sort_values("births", ascending=False, kind="stable")
    ended = summed["better"] + summed["not_better"] + summed["failed"]
    summed["success"] = (summed["better"] / ended.where(ended > 0)).fillna(0.0)
    summed["gain_per_hour"] = (summed["gain"] / summed["hours"].where(summed["hours"] > 0)).fillna(0.0)
    return summed
