"""What a GPT genome imports and may not change: the data, the clock and the score."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpt.run import Run

__all__ = ["start"]


def start() -> Run:
    """Begin the one run of this process: seeds everything random, gives the data, the clock and the score.

    Raises RuntimeError when called a second time: a process trains one box.
    """
    from gpt.run import start_run  # torch costs more than a second, and `python -m gpt.prepare` needs none

    return start_run()
