"""The processes below this one: listing, measuring and ending them all (Linux: /proc, child subreapers)."""

# ruff: noqa: PTH110, PTH123, PTH208
# Plain paths: this reads /proc four times a second for every process, on the genome's own cores.

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable

from evolve.sandbox import kernel

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")  # a second
LISTS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")
GONE = (FileNotFoundError, ProcessLookupError)  # what /proc says of a process that has just ended


def become_subreaper() -> None:
    """Make orphaned descendants children of this process, however they detached themselves."""
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that forked it ends."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)


def outlive_parent() -> None:
    """Undo `die_with_parent`."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, 0)


def descendants(root: int, skip: Collection[int] = ()) -> list[int]:
    """Ids of all processes below `root`, zombies included, without those in `skip` and what is below them.

    Processes that come and go while this reads may be missed.
    """
    children = _children if LISTS_CHILDREN else children_by_scan()
    found: list[int] = []
    queue = [root]
    while queue:
        below = [pid for pid in children(queue.pop()) if pid not in skip]
        found += below
        queue += below
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(*GONE):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(*GONE), open(f"/proc/{pid}/task/{task}/children") as file:
                found += map(int, file.read().split())
    return found


def children_by_scan() -> Callable[[int], list[int]]:
    """The same from every process's parent id, for a kernel without CONFIG_PROC_CHILDREN."""
    below: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(*GONE), open(f"/proc/{name}/stat", "rb") as file:
            # The second field, the program's name in brackets, may itself hold spaces and brackets.
            parent = int(file.read().rpartition(b")")[2].split()[1])
            below.setdefault(parent, []).append(int(name))
    return lambda pid: below.get(pid, [])


def threads(pids: Iterable[int]) -> int:
    """How many threads the processes have together."""
    total = 0
    for pid in pids:
        with contextlib.suppress(*GONE):
            total += len(os.listdir(f"/proc/{pid}/task"))
    return total


def resident_mb(pids: Iterable[int]) -> float:
    """Sum of the processes' resident memory, MB (10^6 bytes); pages that they share count for each."""
    pages = 0
    for pid in pids:
        with contextlib.suppress(*GONE), open(f"/proc/{pid}/statm") as file:
            pages += int(file.read().split()[1])
    return pages * PAGE / 1e6


def proportional_mb(pids: Iterable[int]) -> float:
    """The same with shared pages divided by the number of processes that share them; slower to read.

    A process that forbids this reading (not dumpable) counts with its whole resident memory.
    """
    total = 0.0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += next((int(line.split()[1]) for line in file if line.startswith("Pss:")), 0) * 1024 / 1e6
        except GONE:
            continue
        except PermissionError:
            total += resident_mb([pid])
    return total


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of the processes and of the children that they have reaped."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(*GONE), open(f"/proc/{pid}/stat", "rb") as file:
            # The second field, the program's name in brackets, may itself hold spaces and brackets.
            ticks += sum(map(int, file.read().rpartition(b")")[2].split()[11:15]))
    return ticks / TICKS


class Children:
    """Reaps this process's children, and ends everything below it.

    As a subreaper has no children exactly when it has no descendants, `end_all` knows when it is done.
    """

    def __init__(self) -> None:
        self.exits: dict[int, tuple[int, float]] = {}  # pid -> (exit code or -signal, peak resident MB)

    def reap(self) -> bool:
        """Collect those that have ended; False where no child is left."""
        try:
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    return True
                self.exits[pid] = (os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024 / 1e6)
        except ChildProcessError:
            return False

    def end_all(self) -> None:
        """Kill and reap every descendant; returns when none is left."""
        while self.reap():
            freeze_and_kill(lambda: descendants(os.getpid()))
            time.sleep(0.001)


def freeze_and_kill(list_targets: Callable[[], list[int]]) -> None:
    """Stop all targets before killing any, so that none can fork while the others are being killed."""
    frozen: set[int] = set()
    while new := set(list_targets()) - frozen:
        for pid in new:
            send(pid, signal.SIGSTOP)
        frozen |= new
    for pid in frozen:
        send(pid, signal.SIGKILL)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
