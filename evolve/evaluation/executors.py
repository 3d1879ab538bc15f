"""Where trials run on this machine: slots of CPU cores (and a GPU) each, and an executor over them."""

from __future__ import annotations

import math
import os
import queue
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from evolve.errors import UserError
from evolve.evaluation.gpu import gpu_names, list_gpus
from evolve.machine import processor


@dataclass(frozen=True)
class Slot:
    """What a running trial has for itself: numbers of CPU cores, a GPU as CUDA_VISIBLE_DEVICES names it."""

    cores: tuple[int, ...]
    gpu: str | None = None


class _Here(threading.local):
    """What a worker thread knows of its place; other threads have the whole machine and are never stopped."""

    slot: Slot | None = None
    stopping: threading.Event | None = None


_here = _Here()


def current_slot() -> Slot:
    """The calling worker thread's slot; outside of a LocalExecutor, every core this process may use."""
    return _here.slot or Slot(tuple(sorted(os.sched_getaffinity(0))))


def stop_requested() -> bool:
    """True where this thread's executor was told to end what it is running."""
    return _here.stopping is not None and _here.stopping.is_set()


def require_linux() -> None:
    """Raises UserError elsewhere."""
    if sys.platform != "linux":
        raise UserError(
            "Trials run on Linux only: ending a genome with all it started, and giving it cores of its own, "
            "rest on Linux's process interfaces. Use Linux, WSL 2 or a container."
        )


def usable_cores() -> list[int]:
    """Cores that this process may use, siblings of one physical core next to each other.

    No more of them than a container's CPU quota (cgroup v2) pays for: beyond it, runs would slow each other.
    """
    require_linux()
    cores = sorted(os.sched_getaffinity(0), key=lambda core: (_first_sibling(core), core))
    return cores[: _quota(Path("/sys/fs/cgroup/cpu.max")) or len(cores)]


def _first_sibling(core: int) -> int:
    siblings = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    if not siblings.exists():  # some virtual machines do not say
        return core
    return int(siblings.read_text().replace("-", ",").split(",")[0])


def _quota(path: Path) -> int | None:
    """Whole cores of a `cpu.max` file ("QUOTA PERIOD" in microseconds, or "max PERIOD")."""
    quota, period = path.read_text().split() if path.exists() else ("max", "1")
    return None if quota == "max" else max(1, math.floor(int(quota) / int(period)))


def local_slots(workers: int | None, cores_per_worker: int) -> list[Slot]:
    """Disjoint slots of CPU cores; `workers=None` makes as many as there are cores for.

    Raises UserError where there are not enough cores: runs that share cores measure each other.
    """
    cores = usable_cores()
    if cores_per_worker < 1:
        raise UserError(f"{cores_per_worker} cores a worker: a worker needs at least one.")
    most = len(cores) // cores_per_worker
    if most == 0:
        raise UserError(f"A worker is to have {cores_per_worker} cores, and this process may use {len(cores)}.")
    if workers is None:
        workers = most
    if workers < 1:
        raise UserError(f"{workers} workers cannot run anything: give at least 1.")
    if workers > most:
        raise UserError(
            f"{workers} workers of {cores_per_worker} cores need {workers * cores_per_worker} cores, and "
            f"this process may use {len(cores)}: give --workers {most} or fewer: runs do not share cores."
        )
    return [Slot(tuple(cores[i * cores_per_worker : (i + 1) * cores_per_worker])) for i in range(workers)]


def gpu_slots(workers: int | None, cores_per_worker: int) -> list[Slot]:
    """One slot a GPU, each with CPU cores of its own: as many as wanted, or what there is for each.

    Raises UserError where there is no GPU, or fewer than workers.
    """
    gpus = list_gpus()
    if not gpus:
        raise UserError("There is no NVIDIA GPU here: nvidia-smi is not installed, or lists none.")
    if workers is not None and workers > len(gpus):
        raise UserError(f"{workers} workers, and there are {len(gpus)} GPUs: one GPU runs one trial at a time.")
    workers = workers or len(gpus)
    cores = max(1, min(cores_per_worker, len(usable_cores()) // workers))
    return [Slot(slot.cores, gpu) for slot, gpu in zip(local_slots(workers, cores), gpus, strict=False)]


def slots_on(device: str, workers: int | None, cores_per_worker: int) -> list[Slot]:
    """The slots of this machine for trials on a device, "cpu" or "cuda". Raises UserError where it has none."""
    return (gpu_slots if device == "cuda" else local_slots)(workers, cores_per_worker)


def hardware(slots: Sequence[Slot]) -> str:
    """What the slots train on: the GPUs' names, or the CPU's."""
    gpus = [slot.gpu for slot in slots if slot.gpu is not None]
    return (gpu_names(gpus) or "GPUs without names") if gpus else processor()


class LocalExecutor(ThreadPoolExecutor):
    """A `concurrent.futures.Executor` whose worker threads each hold one slot for as long as they live.

    `shutdown()` waits for what runs. `shutdown(cancel_futures=True)`, and leaving the `with` block by an
    exception, also end the trials that are running: their futures raise Cancelled.
    """

    def __init__(self, slots: list[Slot]) -> None:
        """Raises ValueError where two slots share a core or a GPU."""
        cores = [core for slot in slots for core in slot.cores]
        gpus = [slot.gpu for slot in slots if slot.gpu is not None]
        if len(set(cores)) < len(cores) or len(set(gpus)) < len(gpus):
            raise ValueError(f"two slots share a core or a GPU: {slots}")
        self._free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for slot in slots:
            self._free.put(slot)
        self._stopping = threading.Event()
        super().__init__(len(slots), thread_name_prefix="trial", initializer=self._claim)

    def _claim(self) -> None:
        # There are no more threads than slots, so one is always free here.
        _here.slot = self._free.get_nowait()
        _here.stopping = self._stopping

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures:
            self._stopping.set()
        super().shutdown(wait, cancel_futures=cancel_futures)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        self.shutdown(cancel_futures=kind is not None)
        return False
