"""Keeps a coding agent: a process above it that ends it with all it started, also when the engine is gone.

Its arguments are FOLDER PROMPT COMMAND...: it runs COMMAND with the file PROMPT as standard input. That and everything
that descends from it is killed when its main process has ended, and as soon as this process's own standard input is
closed. The exit code is COMMAND's, 128 + n where signal n ended it. FOLDER is removed where the process that started
this one is gone.
"""

from __future__ import annotations

import os
import select
import shutil
import sys

from evolve.evaluation.process_tree import Children, become_subreaper

NOT_STARTED = 127  # as in a shell


def main(arguments: list[str]) -> int:
    folder, prompt, *command = arguments
    engine = os.getppid()
    os.nice(19)  # beside runs whose time is measured
    become_subreaper()  # what detaches itself from the agent stays below this process
    try:
        agent = os.posix_spawnp(
            command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 0, prompt, os.O_RDONLY, 0)]
        )
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_STARTED
    poller = select.poll()
    poller.register(0, select.POLLIN)
    poller.register(os.pidfd_open(agent), select.POLLIN)
    poller.poll()
    children = Children()
    children.end_all()
    if os.getppid() != engine:
        shutil.rmtree(folder, ignore_errors=True)
    code, _ = children.exits[agent]
    return code if code >= 0 else 128 - code
