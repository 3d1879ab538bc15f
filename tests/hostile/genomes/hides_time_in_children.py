#: all = "timed_out: of the CPU before its clock opened"
#: startup_cpu = 0.6
"""Works before its clock in children that nobody waits for: what they used is in nobody's account when they end."""

import os
import signal
import time

import toy

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
reading, writing = os.pipe()
if os.fork() == 0:
    while time.process_time() < 1.2:
        pass
    os._exit(0)
os.close(writing)
os.read(reading, 1)  # until it has ended
time.sleep(0.3)
toy.start().finish()
