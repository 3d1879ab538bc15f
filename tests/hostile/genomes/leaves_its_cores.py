#: bwrap = "ok"
#: landlock = "ok"
#: none = "-"
#: ways = ["forked", "started"]
"""Moves itself, and its parent, to all cores there are."""

import os

import toy

run = toy.start()
for pid in (0, os.getppid()):
    toy.attempt(f"the cores of {pid}", lambda pid=pid: os.sched_setaffinity(pid, range(os.cpu_count())))
run.finish()
