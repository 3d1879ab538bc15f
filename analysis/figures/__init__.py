"""Figures: each a pure function of frames that draws on a matplotlib Axes (its own where none is given) and returns it.

from analysis import figures, load
figures.progress(load("runs/gpt_cpu")).figure.savefig("progress.png")
"""

from analysis.figures.boxes import box_time
from analysis.figures.constants import constants
from analysis.figures.curves import learning_curves
from analysis.figures.gains import effects, gain_per_step, noise
from analysis.figures.lineage import lineage
from analysis.figures.operators import operators
from analysis.figures.progress import progress
from analysis.style import Draw

FIGURES: dict[str, Draw] = {
    draw.__name__: draw  # type: ignore[attr-defined]
    for draw in (progress, lineage, gain_per_step, operators, learning_curves, noise, constants, box_time)
}

__all__ = ["FIGURES", "effects", *FIGURES]
