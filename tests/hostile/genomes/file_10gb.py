#: all = "crashed: File too large|stored more than"
"""Writes a file of 10 GB."""

import os

import toy

run = toy.start()
file = os.open("large", os.O_CREAT | os.O_WRONLY)
for _ in range(1000):
    os.write(file, bytes(10_000_000))
