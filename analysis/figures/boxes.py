"""Where the workers' time went."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.frames import Frames
from analysis.style import BLUE, FAINT, GREEN, ORANGE, figure, legend, note

PHASES = (
    ("startup", ORANGE, "start-up"),
    ("training", BLUE, "training"),
    ("scoring", GREEN, "scoring"),
    ("rest", FAINT, "rest"),
)
PURPOSES = {"replicate": "replicates", "choice": "contenders", "fresh": "confirmation"}


@figure()
def box_time(frames: Frames, axes: Axes) -> None:
    """Workers' time by how an evaluation ended and what it was for, split into the phases of a run."""
    table = spent(frames)
    if table.empty:
        note(axes, "No evaluation has ended yet.")
        return
    unit, name = (3600.0, "hours") if table.to_numpy().sum() > 2 * 3600 else (60.0, "minutes")
    rows = np.arange(len(table))
    left = np.zeros(len(table))
    phases = [name for name, _, _ in PHASES]
    total = float(table[phases].to_numpy().sum())
    for phase, colour, label in PHASES:
        axes.barh(rows, table[phase] / unit, left=left, color=colour, height=0.66, label=label)
        left += table[phase].to_numpy(dtype=float) / unit
    for row, (_, one) in enumerate(table.iterrows()):
        share = one[phases].sum() / total if total else 0.0
        text = f"{100 * share:.1f} % ({one['runs']:.0f} run{'s' if one['runs'] != 1 else ''})"
        axes.text(left[row] + 0.015 * left.max(), row, text, va="center", fontsize=7.5)
    axes.set_yticks(rows, [str(name) for name in table.index])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xlim(0, 1.5 * left.max() if left.max() else 1)
    axes.set_xlabel(f"{name} of workers")
    legend(axes, 4)


def spent(frames: Frames) -> pd.DataFrame:
    """A row an ending, most time first: `runs`, and seconds of `startup`, `training`, `scoring` and the `rest`."""
    runs = frames.evaluations
    gain = runs["individual"].map(frames.individuals["gain"])
    ending = runs["status"].str.replace("_", " ")
    scored = runs["status"] == "ok"
    ending = ending.mask(scored, (gain > 0).map({True: "better than its parent", False: "not better"}))
    ending = ending.mask(scored & (runs["individual"] == 0), "seed genome")
    ending = ending.mask(scored & (runs["kind"] != "first"), runs["kind"].map(PURPOSES))
    seconds = {phase: runs[f"seconds_{phase}"].fillna(0.0) for phase in ("startup", "training", "scoring")}
    table = pd.DataFrame({"ending": ending, "runs": 1, **seconds})
    table["rest"] = (runs["seconds_total"].fillna(0.0) - sum(seconds.values())).clip(lower=0.0)
    summed = table.groupby("ending").sum()
    return summed.loc[summed.drop(columns="runs").sum(axis=1).sort_values(ascending=False, kind="stable").index]
