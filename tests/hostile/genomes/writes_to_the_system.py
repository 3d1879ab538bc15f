#: bwrap = "ok"
#: landlock = "ok"
#: none = "-"
#: ways = ["forked", "started"]
"""Writes to the kernel's switches, to devices and to what it runs from."""

import os
import sys

import toy

run = toy.start()
for path in (
    "/proc/sys/kernel/core_pattern",
    "/proc/sysrq-trigger",
    "/proc/sys/vm/drop_caches",
    "/dev/kmsg",
    "/dev/mem",
):
    toy.attempt(path, lambda: os.open(path, os.O_WRONLY))
for path in (os.path.realpath(sys.executable), toy.__file__, os.__file__, "/etc/passwd"):
    toy.attempt(path, lambda: os.open(path, os.O_WRONLY | os.O_APPEND))
toy.attempt("a device", lambda: os.mknod("disk", 0o60600, os.makedev(8, 0)) or open("disk", "rb").read(1))
run.finish()
