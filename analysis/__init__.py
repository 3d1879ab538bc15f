"""From an archive to pandas frames to figures: `analysis.load(run)`, and functions that draw what it gives."""

from analysis.frames import Frames, load

__all__ = ["Frames", "load"]
