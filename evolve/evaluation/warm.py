"""The warm parent: imports the modules once, then forks a supervisor with its genome for every job.

Started as `python -m evolve.evaluation.warm FD MODULE...`; FD is a Unix packet socket to the harness. It
lives as long as the other end of that socket does.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path

from evolve.evaluation.genome_process import ProcessEnd
from evolve.evaluation.job import MAX_FDS, MAX_MESSAGE, READY, Job
from evolve.evaluation.process_tree import Children, become_subreaper, descendants, freeze_and_kill
from evolve.evaluation.supervisor import supervise

ORPHANS_MS = 200


def main(arguments: list[str]) -> None:
    harness = socket.socket(fileno=int(arguments[0]))
    harness.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the engine's to handle
    become_subreaper()
    _preload(arguments[1:])
    harness.send(READY)
    _serve(harness)


def _preload(modules: list[str]) -> None:
    """Import the modules. Raises RuntimeError where one starts threads or processes, lost in a fork."""
    for name in modules:
        importlib.import_module(name)
    if len(list(Path("/proc/self/task").iterdir())) > 1 or descendants(os.getpid()):
        raise RuntimeError(f"importing {', '.join(modules)} starts threads or processes: not fit to be forked")
    sys.stdout.flush()  # what an import printed must not be printed again by every fork
    sys.stderr.flush()
    gc.freeze()  # later collections then leave these objects' pages shared


def _serve(harness: socket.socket) -> None:
    supervisors: set[int] = set()
    children = Children()
    poller = select.poll()
    poller.register(harness, select.POLLIN)
    while True:
        if poller.poll(ORPHANS_MS if supervisors else None):
            data, fds, _, _ = socket.recv_fds(harness, MAX_MESSAGE, 2 + MAX_FDS)
            if not data:
                break
            supervisors.add(_fork_supervisor(harness, Job.from_bytes(data), fds))
        _tidy(children, supervisors)
    # The supervisors have seen the end of the harness themselves and end what they watch.
    while supervisors:
        _tidy(children, supervisors)
        time.sleep(0.01)


def _fork_supervisor(harness: socket.socket, job: Job, fds: list[int]) -> int:
    """Fork; `fds` are the control socket, the output pipe and what the genome's process gets."""
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        with ProcessEnd():
            harness.close()
            supervise(job, parent, socket.socket(fileno=fds[0]), fds[1], fds[2:])
    for fd in fds:
        os.close(fd)
    return pid


def _tidy(children: Children, supervisors: set[int]) -> None:
    """Reap supervisors that have ended, and end what a supervisor left because it was itself killed."""
    children.reap()
    supervisors.difference_update(children.exits)
    children.exits.clear()
    freeze_and_kill(lambda: descendants(os.getpid(), skip=supervisors))


if __name__ == "__main__":
    main(sys.argv[1:])
