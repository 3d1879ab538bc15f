"""Random rows of the training tokens, in an order that only the seed decides."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Rows:
    """Draws rows of the training text from a generator of its own.

    Nothing that a genome does with the global generators changes the order, and rows come one after the
    other whatever the batch size, so that replicate k of every genome sees the same data.
    """

    def __init__(self, tokens: NDArray[np.uint16], sequence_length: int, seed: int) -> None:
        if len(tokens) <= sequence_length:
            raise ValueError(f"{len(tokens)} tokens hold no row of {sequence_length} and its targets.")
        self._tokens = tokens
        self._length = sequence_length
        self._offsets = np.random.default_rng(seed)

    def draw(self, batch_size: int) -> tuple[Tensor, Tensor]:
        """Inputs and their targets, the next tokens: both (batch_size, sequence_length) int64 on the CPU."""
        offsets = self._offsets.integers(len(self._tokens) - self._length, size=batch_size)
        rows = np.stack([self._tokens[offset : offset + self._length + 1] for offset in offsets])
        both = torch.from_numpy(rows.astype(np.int64))  # (B, T + 1)
        return both[:, :-1].contiguous(), both[:, 1:].contiguous()


def validation_rows(tokens: NDArray[np.uint16], sequence_length: int, most_tokens: int) -> Tensor:
    """The fixed rows that every model is scored on: (N, T + 1) int64, evenly spaced, none overlapping.

    N is as large as `most_tokens` targets allow, and at least 1. Raises ValueError where not one row fits.
    """
    width = sequence_length + 1
    fitting = len(tokens) // width
    count = min(max(most_tokens // sequence_length, 1), fitting)
    if count == 0:
        raise ValueError(f"{len(tokens)} validation tokens hold no row of {width}.")
    starts = (np.arange(count) * fitting // count) * width
    rows = np.stack([tokens[start : start + width] for start in starts])
    return torch.from_numpy(rows.astype(np.int64))
