#: bwrap = "ok"
#: landlock = "ok"
#: none = "-"
"""Leaves a note in the mode, the times and the attributes of files that it can only read."""

import contextlib
import os

import toy

run = toy.start()
file = toy.bait("readable")
before = os.stat(file)
for mark in (
    lambda: os.chmod(file, 0o777),
    lambda: os.utime(file, (1, 1)),
    lambda: os.setxattr(file, "user.note", b"1"),
    lambda: os.truncate(file, 0),
    lambda: os.rename(file, file + "-moved"),
    lambda: os.link(file, "linked"),
    lambda: os.chown(file, 12345, 12345),
):
    with contextlib.suppress(OSError):
        mark()
after = os.stat(file)
marks = [
    (status.st_mode, status.st_mtime, status.st_uid, status.st_size, status.st_nlink) for status in (before, after)
]
if marks[0] != marks[1] or os.listxattr(file):
    toy.escaped(f"{marks}")
run.finish()
