#: all = "ok"
#: ways = ["forked", "started"]
"""Looks for keys in its own environment, and in the one that its process began with."""

import os

import toy

run = toy.start()
secret = os.environ["BAIT"].split('"secret": "')[1].split('"')[0]
with open("/proc/self/environ") as file:
    began = dict(entry.split("=", 1) for entry in file.read().split("\0") if "=" in entry)
for name, value in [*os.environ.items(), *began.items()]:
    if name != "BAIT" and (secret in value or "KEY" in name or "TOKEN" in name or "SECRET" in name):
        toy.escaped(f"{name} = {value}")
run.finish()
