"""The CPU time of a tree of processes, the ended ones included, from /proc."""

# ruff: noqa: PTH123
# Plain paths: this reads /proc ten times a second for every process.

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from evolve.evaluation.process_tree import GONE, descendants

TICKS = os.sysconf("SC_CLK_TCK")  # a second


@dataclass(frozen=True)
class Usage:
    """What one process has used, in ticks. With `started` its number means no other process, then or later."""

    started: int
    own: int
    waited: int  # by the children that it has waited for, and theirs


class CpuAccount:
    """The CPU time of `root` and all below it, as of the looks that are taken at it.

    The kernel adds an ended process's time to that of the parent that waits for it; where the parent ignores SIGCHLD,
    nobody waits, and it is lost. So the account also adds up what every process had itself used when it was last seen,
    and the larger sum counts. What escapes, of processes that nobody waits for: what they use after the last look at
    them, all of it where they live between two looks; and as much as others that are waited for used between looks.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._seen: dict[int, Usage] = {}  # living, at the last look
        self._ended = 0  # ticks that the ended ones had used when they were last seen
        self._most = 0

    def seconds(self) -> float:
        """Take a look; never less than at the one before."""
        # Parents first: a child that ends meanwhile is then not counted twice.
        below = dict.fromkeys([self._root, *descendants(self._root)])
        present = 0
        # A living process may be missed below the root, when its parent ends meanwhile: it has not ended for that.
        for pid in below | dict.fromkeys(self._seen):
            before, now = self._seen.pop(pid, None), usage(pid)
            same = before is not None and now is not None and before.started == now.started
            if before is not None and not same:
                self._ended += before.own
            if now is not None and (same or pid in below):
                self._seen[pid] = now
                present += now.own + now.waited
        by_looks = self._ended + sum(one.own for one in self._seen.values())
        self._most = max(self._most, present, by_looks)
        return self._most / TICKS


def usage(pid: int) -> Usage | None:
    """None for a process that is gone."""
    with contextlib.suppress(*GONE), open(f"/proc/{pid}/stat", "rb") as file:
        # The second field, the program's name in brackets, may itself hold spaces and brackets.
        fields = file.read().rpartition(b")")[2].split()
        user, system, waited_user, waited_system = map(int, fields[11:15])
        return Usage(int(fields[19]), user + system, waited_user + waited_system)
    return None
