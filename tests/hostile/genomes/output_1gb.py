#: all = "ok"
#: time_box = 60.0
#: prints = "bytes left out\\]\\nx+\\nlast line$"
"""Prints 1 GB."""

import os

import toy

run = toy.start()
block = b"x" * 1_000_000
for _ in range(1000):
    data = block
    while data:
        data = data[os.write(1, data) :]
print("\nlast line")
run.finish()
