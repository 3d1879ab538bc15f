#: all = "timed_out: of the CPU before its clock opened"
#: startup_cpu = 0.7
"""Works before its clock in many short orphans, which the sandbox's own first process inherits, or the supervisor."""

import os
import time

import toy

reading, writing = os.pipe()
for _ in range(40):
    if os.fork() == 0:
        if os.fork() == 0:
            while time.process_time() < 0.03:
                pass
        os._exit(0)
    os.wait()
os.close(writing)
os.read(reading, 1)  # until all have ended
time.sleep(0.5)
toy.start().finish()
