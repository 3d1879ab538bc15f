#: all = "timed_out: still training 0.5 s after its box of 0.3 s"
#: grace = 0.5
#: ways = ["forked", "started"]
"""Never returns from a step, and ignores every signal that can be ignored."""

import contextlib
import signal

import toy

run = toy.start()
for number in signal.valid_signals():
    with contextlib.suppress(OSError, ValueError):
        signal.signal(number, signal.SIG_IGN)
while True:
    pass
