"""Questions to the graph of parents, answered without git: ancestors and best common ancestors."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

Parents = Mapping[int, tuple[int, ...]]
"""Parents of each individual. A parent's id is smaller than its child's: ids are given in order of birth."""

_FIRST, _SECOND, _OUTDONE = 1, 2, 4


def ancestors(parents: Parents, individual: int) -> set[int]:
    """All ancestors of an individual, without itself."""
    found: set[int] = set()
    waiting = list(parents[individual])
    while waiting:
        id = waiting.pop()
        if id not in found:
            found.add(id)
            waiting.extend(parents[id])
    return found


def merge_bases(parents: Parents, a: int, b: int) -> list[int]:
    """The common ancestors that are no ancestor of another common one, youngest first.

    The set that `git merge-base --all` prints; empty for unrelated individuals. Walks from both towards the
    roots in descending order of ids, so that everything known of an individual is known when it is reached,
    and stops as soon as only ancestors of what was found are left.
    """
    marks = {a: _FIRST}
    marks[b] = marks.get(b, 0) | _SECOND
    heap = [-id for id in marks]
    heapq.heapify(heap)
    open_walks = len(heap)  # individuals in the heap that are not outdone
    bases: list[int] = []
    while open_walks:
        id = -heapq.heappop(heap)
        mark = marks[id]
        if not mark & _OUTDONE:
            open_walks -= 1
            if mark == _FIRST | _SECOND:
                bases.append(id)
                mark |= _OUTDONE
        for parent in parents[id]:
            known = marks.get(parent)
            if known is None:
                heapq.heappush(heap, -parent)
                open_walks += not mark & _OUTDONE
            elif mark & _OUTDONE and not known & _OUTDONE:
                open_walks -= 1
            marks[parent] = (known or 0) | mark
    return bases
