#: bwrap = "ok"
#: landlock = "ok"
#: none = "-"
#: ways = ["forked", "started"]
"""Reads the validation tokens beside the data that it may see: hidden as a folder, and as a file."""

import os

import toy

run = toy.start()


def read(path):
    with open(path, "rb") as file:
        return file.read() or os.listdir(os.path.dirname(path))[100]  # an empty file gives nothing away


for name in ("validation", "tokens"):
    path = toy.bait(name)
    for way in (path, os.path.realpath(path), f"/proc/self/root{path}", f"/proc/1/root{path}"):
        try:
            toy.attempt(f"{name} by {way}", lambda: read(way))
        except IndexError:
            print(f"{name} by {way}: empty")
run.finish()
