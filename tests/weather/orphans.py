"""What an ended process left running, completely: this process becomes the one that the kernel gives orphans to."""

from __future__ import annotations

import contextlib
import os
import time
from types import TracebackType

import psutil

from evolve.sandbox import kernel


class Nursery:
    """While entered, all that descends from this process stays below it, whatever detaches itself or loses its parent.

    Only one at a time. What was below this process before is none of its business.
    """

    def __enter__(self) -> Nursery:
        self._before = set(_below())
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 0)

    def orphans(self, patience: float) -> list[str]:
        """What still runs after `patience` seconds, a line each; it is then ended. At once where nothing does.

        Call it when every process that was started here has been waited for: it reaps what has ended.
        """
        deadline = time.monotonic() + patience
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(0.02)
        told = [_described(process) for process in left]
        while left:
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            left = self._left()
        return told

    def _left(self) -> list[psutil.Process]:
        found = [process for process in _below() if process not in self._before]
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess, ChildProcessError):
                if process.status() == psutil.STATUS_ZOMBIE and process.ppid() == os.getpid():
                    os.waitpid(process.pid, 0)
        return [process for process in found if process.is_running()]


def _below() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _described(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess):
        return f"{process.pid} of {process.ppid()}, {process.status()}: {' '.join(process.cmdline())[:200]}"
    return f"{process.pid}, ended since"
