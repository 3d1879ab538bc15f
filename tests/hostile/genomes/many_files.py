#: all = "crashed: stored more than 100 MB"
"""Writes 10 GB as many files, removes half of the names and goes on writing through what it holds open."""

import os
import time

import toy

run = toy.start()
held = []
for number in range(14):
    held.append(os.open(f"part-{number}", os.O_CREAT | os.O_WRONLY))
    os.write(held[-1], bytes(10_000_000))
    if number % 2:
        os.unlink(f"part-{number}")
time.sleep(20)
