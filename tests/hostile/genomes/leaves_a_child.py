#: all = "ok"
#: ways = ["forked", "started"]
"""Its child detaches itself as a daemon does, ignores signals, and goes on when the run is over."""

import os
import signal
import time

import toy

run = toy.start()
if os.fork() == 0:
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
run.finish()
