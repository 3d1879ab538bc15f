#: all = "crashed: started more than 4096 threads|can't start new thread|Cannot allocate memory"
#: memory_mb = 2000
"""Starts threads until it is stopped; they end by themselves, should nobody stop it."""

import threading
import time

import toy

run = toy.start()
threading.stack_size(32768)
for _ in range(6000):
    threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
time.sleep(20)
