"""From an archive to pandas frames to figures: `analysis.load(run)`, and functions that draw what it gives."""

from analysis.frames import Frames, load
from analysis.steps import ablation, replay

__all__ = ["Frames", "ablation", "load", "replay"]
