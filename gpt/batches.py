"""Random rows of the training tokens, in an order that only the seed decides."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Rows:
    """Draws rows of the training text from a generator of its own.

    Nothing that a genome does with the global generators changes the order, and rows come one after the
    other whatever the batch size, so that replicate k of every genome sees the same data.
    """

    def __init__(self, tokens: NDArray[np.uint16], sequence_length: int, seed: int, *, packed: bool = False) -> None:
        """A row begins at any token, or, of `packed` tokens, where one was packed; then none comes twice in an epoch.

        Raises ValueError where not one row fits.
        """
        self._width = sequence_length + 1
        if len(tokens) < self._width:
            raise ValueError(f"{len(tokens)} tokens hold no row of {sequence_length} and its targets.")
        self._tokens = tokens
        self._generator = np.random.default_rng(seed)
        self._order = self._shuffled(len(tokens) // self._width) if packed else None

    def _shuffled(self, count: int) -> Iterator[int]:
        while True:
            yield from self._generator.permutation(count)

    def draw(self, batch_size: int) -> Tensor:
        """Rows with their last target: (batch_size, sequence_length + 1) int32 on the CPU."""
        if self._order is None:
            starts = self._generator.integers(len(self._tokens) - self._width + 1, size=batch_size)
        else:
            starts = np.fromiter(self._order, dtype=np.int64, count=batch_size) * self._width
        rows = np.stack([self._tokens[start : start + self._width] for start in starts])
        return torch.from_numpy(rows.astype(np.int32))


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
