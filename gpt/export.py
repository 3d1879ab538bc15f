"""A trained model on its way out of the genome's process: its state, and where possible itself as a graph."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import BinaryIO

import torch
from torch import nn

from gpt.scoring import eager
from gpt.state import plain, save, tensors

SECONDS = 30.0  # that tracing may take
EXAMPLE = (4, 8)  # rows and tokens of the traced batch; both sizes are left open where the model allows that


def hand_over(model: nn.Module, device: torch.device, state: BinaryIO, graph: BinaryIO) -> str:
    """Write the model's state, and the model as a graph of torch's own operations (`torch.export`).

    Returns why there is no graph; empty where there is one.
    """
    save(tensors(model), state)
    state.flush()
    auto = torch.export.Dim.AUTO
    example = torch.zeros(EXAMPLE, dtype=torch.int64, device=device)
    try:
        with _at_most(SECONDS), eager(), torch.no_grad():
            program = torch.export.export(plain(model), (example,), dynamic_shapes=({0: auto, 1: auto},), strict=False)
            torch.export.save(program, graph)
    except Exception as error:  # noqa: BLE001 - tracing runs the genome's code on stand-ins for tensors
        graph.seek(0)
        graph.truncate()
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    graph.flush()
    return ""


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raises TimeoutError in the block when its time is over. For the main thread."""

    def end(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"not done after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
