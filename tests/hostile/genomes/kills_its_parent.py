#: bwrap = "ok"
#: landlock = "ok"
#: none = "crashed: the process that supervises it was killed"
#: ways = ["forked", "started"]
"""Kills its supervisor, and that one's parent."""

import contextlib
import os
import signal

import toy

run = toy.start()


def parent(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


victims = [os.getppid()]
with contextlib.suppress(OSError):
    victims.append(parent(victims[0]))
for victim in victims:
    if victim > 0:  # 0 is this process's own group, where the parent is in other namespaces
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
run.finish()
