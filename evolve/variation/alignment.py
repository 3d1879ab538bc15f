"""Pairs the items of two versions of a sequence in order: first the equal ones, then the kindred ones."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

Item = TypeVar("Item")

EXACT = 1 << 40  # one exact pair outweighs any number of kindred ones


def align(
    base: Sequence[Item],
    side: Sequence[Item],
    exact: Callable[[Item], Hashable],
    kinship: Callable[[Item, Item], int],
) -> list[int | None]:
    """For each item of `base` the index of its partner in `side`, or None. Partners never cross.

    `exact`: items of equal value are the same. `kinship`: how good a pair two different items are, 0 for
    none, below EXACT. Items that are unique in both sequences anchor the alignment, as in the patience diff;
    between the anchors the sum of the pairs' weights is maximal (Needleman and Wunsch 1970, no gap penalty).
    """
    base_keys, side_keys = [exact(item) for item in base], [exact(item) for item in side]
    partners: list[int | None] = [None] * len(base)
    start_base = start_side = 0
    for end_base, end_side in [*_anchors(base_keys, side_keys), (len(base), len(side))]:
        _align_gap(
            base,
            side,
            base_keys,
            side_keys,
            kinship,
            (start_base, end_base),
            (start_side, end_side),
            partners,
        )
        if end_base < len(base):
            partners[end_base] = end_side
        start_base, start_side = end_base + 1, end_side + 1
    return partners


def _anchors(base: Sequence[Hashable], side: Sequence[Hashable]) -> list[tuple[int, int]]:
    """The longest increasing run of pairs of items that occur once in either sequence."""
    base_count, side_count = Counter(base), Counter(side)
    where = {key: index for index, key in enumerate(side) if side_count[key] == 1}
    pairs = [(i, where[key]) for i, key in enumerate(base) if base_count[key] == 1 and key in where]
    tails: list[int] = []  # the smallest side index that ends an increasing run of each length
    ends: list[int] = []  # which pair that is
    before: list[int | None] = []
    for number, (_, index) in enumerate(pairs):
        length = bisect_left(tails, index)
        before.append(ends[length - 1] if length else None)
        tails[length : length + 1] = [index]
        ends[length : length + 1] = [number]
    chain = []
    at = ends[-1] if ends else None
    while at is not None:
        chain.append(pairs[at])
        at = before[at]
    return chain[::-1]


def _align_gap(
    base: Sequence[Item],
    side: Sequence[Item],
    base_keys: Sequence[Hashable],
    side_keys: Sequence[Hashable],
    kinship: Callable[[Item, Item], int],
    base_range: tuple[int, int],
    side_range: tuple[int, int],
    partners: list[int | None],
) -> None:
    (first, last), (left, right) = base_range, side_range
    while first < last and left < right and base_keys[first] == side_keys[left]:
        partners[first] = left
        first, left = first + 1, left + 1
    while first < last and left < right and base_keys[last - 1] == side_keys[right - 1]:
        last, right = last - 1, right - 1
        partners[last] = right
    rows, columns = last - first, right - left
    if not rows or not columns:
        return
    weights = [
        [
            EXACT if base_keys[first + i] == side_keys[left + j] else kinship(base[first + i], side[left + j])
            for j in range(columns)
        ]
        for i in range(rows)
    ]
    best = [[0] * (columns + 1) for _ in range(rows + 1)]  # of what begins at (i, j)
    for i in range(rows - 1, -1, -1):
        row, below, weight = best[i], best[i + 1], weights[i]
        for j in range(columns - 1, -1, -1):
            row[j] = max(below[j], row[j + 1], weight[j] + below[j + 1] if weight[j] else 0)
    i = j = 0
    while i < rows and j < columns:
        if weights[i][j] and best[i][j] == weights[i][j] + best[i + 1][j + 1]:
            partners[first + i] = left + j
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
