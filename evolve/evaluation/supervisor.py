"""The supervisor of one genome: a child subreaper that watches its tree and leaves nothing of it behind."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import socket
from typing import NoReturn

from evolve.evaluation.genome_process import become_genome
from evolve.evaluation.job import Job
from evolve.evaluation.process_tree import (
    Children,
    become_subreaper,
    descendants,
    proportional_mb,
    resident_mb,
)

SAMPLE_MS = 250
MAX_PROCESSES = 256  # of one genome; RLIMIT_NPROC would count the user's other processes, too
MAX_FILE = 4 * 10**9  # bytes
MAX_OPEN_FILES = 4096


def supervise(job: Job, control: socket.socket, output: int, report: int | None) -> NoReturn:
    """Run one genome to its end; the life of this process, which must be a fresh fork.

    Messages on `control`, one JSON object each: first `{"supervisor": pid, "genome": pid}`; at the end
    `{"code": exit code or -signal, "peak_mb": resident memory, "cap": "memory" | "processes" | ""}`.
    The genome is killed, with everything that descends from it, when the harness says so, when the harness
    is gone (end of file), when its main process ends, and when it passes a cap.
    """
    become_subreaper()
    # What could fail is done here, before the genome exists: a failure is then the harness's, never its own.
    # Supervisor and genome share the slot's cores, so that watching one trial takes nothing from another.
    os.sched_setaffinity(0, job.cores)
    os.chdir(job.scratch)
    _limit()
    supervisor = os.getpid()
    genome = os.fork()
    if genome == 0:
        become_genome(job, supervisor, output, report)
    os.close(output)
    if report is not None:
        os.close(report)
    _tell(control, {"supervisor": supervisor, "genome": genome})
    children = Children()
    cap, peak = _watch(genome, control, children, job.memory_mb)
    children.end_all()
    code, resident = children.exits[genome]
    _tell(control, {"code": code, "peak_mb": max(peak, resident), "cap": cap})
    os._exit(0)


def _limit() -> None:
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, MAX_FILE),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
    ):
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def _watch(genome: int, control: socket.socket, children: Children, memory_mb: int) -> tuple[str, float]:
    """Wait until the genome has ended or must be; gives the cap it passed ("": none) and its peak MB."""
    peak = 0.0
    ended = os.pidfd_open(genome)
    poller = select.poll()
    poller.register(control, select.POLLIN)
    poller.register(ended, select.POLLIN)
    while not poller.poll(SAMPLE_MS):
        pids = descendants(os.getpid())
        resident = resident_mb(pids)
        # Shared pages are counted only once before anybody is ended for them; the quick sum is enough before.
        if resident > memory_mb:
            resident = proportional_mb(pids)
        peak = max(peak, resident)
        if resident > memory_mb:
            return "memory", peak
        if len(pids) > MAX_PROCESSES:
            return "processes", peak
        children.reap()
    return "", peak


def _tell(control: socket.socket, message: dict[str, object]) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the harness is gone: nobody asks any more
        control.send(json.dumps(message).encode())
