#: bwrap = "ok"
#: landlock = "ok"
#: none = "-"
#: ways = ["forked", "started"]
"""Looks for keys in the environment, the memory and the open files of every process that it can see."""

import contextlib
import os

import toy

run = toy.start()
family = {str(os.getpid()), str(os.getppid())}  # a started one's parent is of its own sandbox
for pid in [*filter(str.isdigit, os.listdir("/proc")), str(toy.bait("holder"))]:
    if pid in family:
        continue
    for name in ("environ", "maps", "auxv", "fd/0", "fd/1", "root/etc/passwd", "cwd/train.py"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", "rb") as file:
            os.set_blocking(file.fileno(), False)
            if file.read(10):
                toy.escaped(f"/proc/{pid}/{name}")
run.finish()
