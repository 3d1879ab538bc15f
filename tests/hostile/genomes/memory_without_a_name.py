#: all = "crashed: stored more than 100 MB"
"""Keeps memory as files that no folder shows and no process maps."""

import os
import time

import toy

run = toy.start()
held = [os.memfd_create("held") for _ in range(20)]
for file in held:
    os.write(file, bytes(20_000_000))
time.sleep(20)
