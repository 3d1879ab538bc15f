"""What a genome has stored: the files of its scratch folder, and those that it holds open without a name."""

# ruff: noqa: PTH116, PTH208
# Plain paths: this looks at every file once a second, on the genome's own cores.

from __future__ import annotations

import contextlib
import math
import os
import stat
from collections.abc import Iterable

from evolve.evaluation.process_tree import GONE

LEAST = 4096  # bytes that a file or a folder counts with, so that a million empty ones are not nothing
_VANISHED = (*GONE, NotADirectoryError)


def stored_mb(folder: str, pids: Iterable[int]) -> float:
    """MB (10^6 bytes) on the disk, or in memory where a file has no name; infinite where it cannot be measured.

    A genome that takes away its own right to list a folder, or nests folders too deep for a path, hides what is there.
    """
    try:
        return (_in_folder(folder) + sum(map(_without_name, pids))) / 1e6
    except OSError:
        return math.inf


def _in_folder(folder: str) -> int:
    total, queue = 0, [folder]
    while queue:
        with contextlib.suppress(*_VANISHED), os.scandir(queue.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(*_VANISHED):
                    total += max(LEAST, entry.stat(follow_symlinks=False).st_blocks * 512)
                    if entry.is_dir(follow_symlinks=False):
                        queue.append(entry.path)
    return total


def _without_name(pid: int) -> int:
    """Removed files, and those that never had a name (memfd): space that is free again when they are closed."""
    total = 0
    with contextlib.suppress(*_VANISHED):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(*_VANISHED):
                status = os.stat(f"/proc/{pid}/fd/{name}")
                if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                    total += status.st_blocks * 512
    return total
