"""Threads that wait for endpoints: daemons, so that a request that hangs does not keep a finished search alive."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Pool(Generic[T, R]):
    """Runs one function on jobs in its threads; results come back in the order in which they are ready."""

    def __init__(self, function: Callable[[T], R], threads: int) -> None:
        self._function = function
        self._jobs: queue.SimpleQueue[T | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[R | BaseException] = queue.SimpleQueue()
        self._threads = threads
        self.in_flight = 0
        for number in range(threads):
            threading.Thread(target=self._work, name=f"writer-{number}", daemon=True).start()

    def submit(self, job: T) -> None:
        self.in_flight += 1
        self._jobs.put(job)

    def ready(self, wait: float = 0.0) -> R | None:
        """A result; None where there is none within `wait` seconds. Raises what the function raised."""
        if not self.in_flight:
            return None
        try:
            result = self._done.get(timeout=wait) if wait > 0 else self._done.get_nowait()
        except queue.Empty:
            return None
        self.in_flight -= 1
        if isinstance(result, BaseException):
            raise result
        return result

    def close(self) -> None:
        """Let the threads end after what they are doing; nobody waits for them."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._done.put(self._function(job))
            except BaseException as error:  # noqa: BLE001 - `ready` raises it in the caller's thread
                self._done.put(error)
