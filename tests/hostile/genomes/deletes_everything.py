#: bwrap = "ok"
#: landlock = "ok"
#: none = "-"
#: ways = ["forked", "started"]
"""Deletes whatever it can of the run, the data, the home, its own folder and what lies above it."""

import contextlib
import os
import shutil

import toy

run = toy.start()
for name in ("home", "archive", "neighbour", "validation", "tokens", "readable"):
    with contextlib.suppress(OSError):
        os.truncate(toy.bait(name), 0)
    for folder in (os.path.dirname(toy.bait(name)), os.path.dirname(os.path.dirname(toy.bait(name)))):
        shutil.rmtree(folder, ignore_errors=True)
shutil.rmtree(os.path.abspath("../.."), ignore_errors=True)
run.finish()
