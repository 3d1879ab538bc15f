"""Documents packed into rows of one width, without padding and without losing a token of them."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from itertools import count

import numpy as np
from numpy.typing import NDArray

from gpt.tokenizer import BOS_ID

Tokens = NDArray[np.uint16]
POOL = 4096  # documents to choose from: more fit better, and keep the order of the text less


class Packer:
    """Rows of exactly `width` tokens, each beginning with BOS as each of the documents does.

    Best fit: a row takes the longest waiting document that still fits. Where none does, the longest of all fills
    the row with its beginning, and the rest of it waits on, with a BOS of its own, as the rest of a document longer
    than a row does. What does not fill a row at the end, fewer than `width` tokens, is left out.
    """

    def __init__(self, width: int, pool: int = POOL) -> None:
        """Raises ValueError for a width below 2, which could hold nothing but BOS."""
        if width < 2:
            raise ValueError(f"a row of {width} tokens holds none of a document")
        self._width = width
        self._pool = pool
        self._waiting = _Waiting()

    def add(self, document: Tokens) -> Iterator[Tokens]:
        """Take one more document, shape (n,), and give the rows, shape (width,), that are ready with it."""
        while len(document) > self._width:
            self._waiting.put(document[: self._width])
            document = _continued(document, self._width)
        self._waiting.put(document)
        while len(self._waiting) > self._pool and self._waiting.tokens >= self._width:
            yield _row(self._waiting, self._width)

    def finish(self) -> Iterator[Tokens]:
        """The rows of what still waits."""
        while self._waiting.tokens >= self._width:
            yield _row(self._waiting, self._width)


class _Waiting:
    """Documents by length; of equal ones, the latest is taken first."""

    def __init__(self) -> None:
        self._sorted: list[tuple[int, int]] = []  # (length, number)
        self._documents: dict[int, Tokens] = {}
        self._numbers = count()
        self.tokens = 0

    def __len__(self) -> int:
        return len(self._sorted)

    def put(self, document: Tokens) -> None:
        number = next(self._numbers)
        self._documents[number] = document
        insort(self._sorted, (len(document), number))
        self.tokens += len(document)

    def take(self, room: int) -> Tokens:
        """The longest that fits into `room` tokens; the longest of all where none does."""
        place = bisect_right(self._sorted, (room, next(self._numbers))) - 1
        length, number = self._sorted.pop(place)  # -1: the last, which is the longest
        self.tokens -= length
        return self._documents.pop(number)


def _row(waiting: _Waiting, width: int) -> Tokens:
    row = np.empty(width, dtype=np.uint16)
    filled = 0
    while filled < width:
        room = width - filled
        document = waiting.take(room)
        if len(document) > room:
            waiting.put(_continued(document, room))
            document = document[:room]
        row[filled : filled + len(document)] = document
        filled += len(document)
    return row


def _continued(document: Tokens, cut: int) -> Tokens:
    return np.concatenate((np.array([BOS_ID], dtype=np.uint16), document[cut:]))
