#: all = "out_of_memory: passed its cap of 300 MB"
"""Asks for 100 GB of memory and uses it, at 2 GB a second."""

import time

import toy

run = toy.start()
held = []
for _ in range(5000):
    held.append(b"x" * 20_000_000)
    time.sleep(0.01)
