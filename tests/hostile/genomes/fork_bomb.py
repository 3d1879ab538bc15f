#: all = "crashed: started more than 256 processes"
"""Doubles until it is stopped; at most 512 processes, which end by themselves, should nobody stop it."""

import os
import time

import toy

run = toy.start()
for _ in range(9):
    os.fork()
time.sleep(20)
