"""The supervisor of one genome: a child subreaper that watches its tree and leaves nothing of it behind."""

# ruff: noqa: PTH123
# What runs in every fork is kept small, and this opens a pipe.

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import socket
import time
from collections.abc import Collection, Sequence
from typing import NoReturn

from evolve.evaluation.genome_process import GO, become_genome
from evolve.evaluation.job import Job
from evolve.evaluation.process_tree import (
    Children,
    become_subreaper,
    descendants,
    die_with_parent,
    outlive_parent,
    proportional_mb,
    resident_mb,
    threads,
)
from evolve.evaluation.scratch import stored_mb
from evolve.sandbox.confinement import Confinement

SAMPLE_MS = 250
MAX_PROCESSES = 256  # of one genome; RLIMIT_NPROC would count the user's other processes, too
MAX_THREADS = 4096  # of all its processes
STORED_MS = 1000  # between measurements of what it has stored, or more where that takes long
MAX_OPEN_FILES = 4096


def supervise(job: Job, parent: int, control: socket.socket, output: int, descriptors: Sequence[int]) -> NoReturn:
    """Run one genome to its end; the life of this process, which must be a fresh fork of the process `parent`.

    Messages on `control`, one JSON object each: first `{"supervisor": pid, "genome": pid}`, or `{"fault": why}` where
    the sandbox cannot be made; at the end `{"code": exit code or -signal, "peak_mb": resident memory, "cap": what it
    passed: "memory", "processes", "threads", "scratch" or ""}`.
    The genome is killed, with everything that descends from it, when the harness says so, when the harness
    is gone (end of file), when its main process ends, and when it passes a cap.
    """
    become_subreaper()
    # Until the harness knows of this process, it is its parent's to end: whoever stops it, or the genome's process,
    # before that (the harness then gives the parent up) would leave both for good.
    die_with_parent()
    if os.getppid() != parent:
        os._exit(1)
    # What could fail is done here, before the genome exists: a failure is then the harness's, never its own.
    # Supervisor and genome share the slot's cores, so that watching one trial takes nothing from another.
    os.sched_setaffinity(0, job.cores)
    os.chdir(job.view.scratch)
    _limit(job.scratch_mb * 10**6)
    supervisor = os.getpid()
    children = Children()
    try:
        confinement = Confinement(job.sandbox, job.view, executes=job.script is None)
        genome, go = _start(job, supervisor, confinement, output, descriptors)
    except OSError as error:
        children.end_all()
        _tell(control, {"fault": str(error)})
        os._exit(1)
    for fd in (output, *descriptors):
        os.close(fd)
    _tell(control, {"supervisor": supervisor, "genome": genome})
    outlive_parent()
    os.write(go, GO)
    os.close(go)
    cap, peak = _Watch(job, genome, control, children, confinement.own_processes).until_the_end()
    children.end_all()
    code, resident = children.exits[genome]
    _tell(control, {"code": confinement.exit_code(code), "peak_mb": max(peak, resident), "cap": cap})
    os._exit(0)


def _start(
    job: Job, supervisor: int, confinement: Confinement, output: int, descriptors: Sequence[int]
) -> tuple[int, int]:
    """Fork the genome's process, and wait until it is confined; it then waits for GO on the second value, a pipe.

    Raises OSError where it could not be confined.
    """
    reading, ready = os.pipe()
    wait, go = os.pipe()
    genome = os.fork()
    if genome == 0:
        os.close(go)
        become_genome(job, supervisor, confinement, ready, wait, output, descriptors)
    os.close(ready)
    os.close(wait)
    with open(reading, "rb") as said:
        if fault := said.read():
            raise OSError(fault.decode(errors="replace"))
    return genome, go


def _limit(file_bytes: int) -> None:
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
    ):
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


class _Watch:
    """Looks at a running genome's processes, memory and files."""

    def __init__(
        self, job: Job, genome: int, control: socket.socket, children: Children, not_its_own: Collection[int]
    ) -> None:
        self._job = job
        self._genome = genome
        self._control = control
        self._children = children
        self._not_its_own = not_its_own
        self._peak = 0.0
        self._next_stored = time.monotonic() + STORED_MS / 1000

    def until_the_end(self) -> tuple[str, float]:
        """Wait until the genome has ended or must be; gives the cap it passed ("": none) and its peak MB."""
        ended = os.pidfd_open(self._genome)
        poller = select.poll()
        poller.register(self._control, select.POLLIN)
        poller.register(ended, select.POLLIN)
        cap = ""
        while not cap and not poller.poll(SAMPLE_MS):
            cap = self._look()
            self._children.reap()
        return cap, self._peak

    def _look(self) -> str:
        """The cap that is passed now."""
        pids = [pid for pid in descendants(os.getpid()) if pid not in self._not_its_own]
        if len(pids) > MAX_PROCESSES:
            return "processes"
        resident = resident_mb(pids)
        # Shared pages are counted only once before anybody is ended for them; the quick sum is enough before.
        if resident > self._job.memory_mb:
            resident = proportional_mb(pids)
        self._peak = max(self._peak, resident)
        if resident > self._job.memory_mb:
            return "memory"
        if threads(pids) > MAX_THREADS:
            return "threads"
        return "scratch" if self._stores_too_much(pids) else ""

    def _stores_too_much(self, pids: list[int]) -> bool:
        began = time.monotonic()
        if began < self._next_stored:
            return False
        stored = stored_mb(self._job.view.scratch, pids)
        now = time.monotonic()
        # At most a fiftieth of the time goes into it, on cores that are the genome's.
        self._next_stored = now + max(STORED_MS / 1000, 50 * (now - began))
        return stored > self._job.scratch_mb


def _tell(control: socket.socket, message: dict[str, object]) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the harness is gone: nobody asks any more
        control.send(json.dumps(message).encode())
