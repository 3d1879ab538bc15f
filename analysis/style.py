"""How figures look: one palette, safe for colour-blind eyes (Okabe and Ito) and on light and dark grounds."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from analysis.frames import Frames

# These five are named colours of the report's page: it replaces them by its own, which follow light and dark.
INK = "#20242a"
MUTED = "#6b727d"
FAINT = "#c9ced6"
BLUE, SKY = "#0072b2", "#56b4e9"

GREEN, ORANGE, VERMILION, PINK = "#009e73", "#e69f00", "#d55e00", "#cc79a7"
STRONG = VERMILION  # the champion and its lineage
OUTCOMES = {
    "ok": BLUE,
    "raced": SKY,
    "crashed": VERMILION,
    "timed_out": PINK,
    "out_of_memory": ORANGE,
    "rejected": "#8f7a5a",
    "cheated": GREEN,
    "disturbed": "#b0a43a",
    "pending": MUTED,
}
SCORES = LinearSegmentedColormap.from_list("scores", ["#6b6fb5", "#b0609a", "#dd6a5e", "#f2a03d"])  # worst to best

SETTINGS: Any = {  # matplotlib types the keys by all the names that it knows
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelpad": 6,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.dpi": 110,
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.size": 9,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.labelcolor": INK,
    "savefig.dpi": 150,
    "svg.fonttype": "none",
    "svg.hashsalt": "evolve",
    "text.color": INK,
    "text.parse_math": False,  # an idea with two dollar signs is no formula
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8,
}


class Draw(Protocol):
    """A figure: draws frames on an Axes, or on one of its own, and returns it."""

    def __call__(self, frames: Frames, axes: Axes | None = None) -> Axes: ...


Size = tuple[float, float]  # inches


def figure(size: Size | Callable[[Frames], Size] = (4.6, 3.3)) -> Callable[[Callable[[Frames, Axes], None]], Draw]:
    """Makes a Draw of a function that draws: with the style, and an Axes of this size where none is given."""

    def styled(draw: Callable[[Frames, Axes], None]) -> Draw:
        @functools.wraps(draw)
        def drawn(frames: Frames, axes: Axes | None = None) -> Axes:
            with matplotlib.rc_context(SETTINGS):
                if axes is None:
                    fitting = size if isinstance(size, tuple) else size(frames)
                    axes = Figure(figsize=fitting, layout="constrained").subplots()
                draw(frames, axes)
            return axes

        return drawn

    return styled


def save(axes: Axes, file: object, **options: object) -> None:
    """Write the figure of an Axes with the style's settings. Raises ValueError for a format that there is not."""
    assert isinstance(axes.figure, Figure)
    with matplotlib.rc_context(SETTINGS):
        axes.figure.savefig(file, **options)  # type: ignore[arg-type]


def note(axes: Axes, text: str) -> None:
    """Say in the middle of an empty Axes why it is empty."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=MUTED, wrap=True)


def legend(axes: Axes, columns: int) -> None:
    """The legend above the plot, where it covers nothing."""
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=columns, columnspacing=1.0, borderaxespad=0.2)


def dot(count: int) -> float:
    """The area of a mark, in square points, where so many are drawn."""
    return float(np.clip(2400 / max(count, 1), 4, 20))


def number(value: object) -> str:
    """A constant's value in few characters."""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def short(text: str, length: int) -> str:
    """Text as one line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def room(axes: Axes) -> int:
    """How many characters of a label fit beside the plot."""
    assert isinstance(axes.figure, Figure)
    return max(18, int(5.2 * axes.figure.get_figwidth()))
