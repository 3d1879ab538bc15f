#: bwrap = "ok"
#: landlock = "ok"
#: none = "-"
#: ways = ["forked", "started"]
"""Kills, stops and traces another process of the same user."""

import ctypes
import os
import signal

import toy

run = toy.start()
victim = toy.bait("holder")
libc = ctypes.CDLL(None, use_errno=True)


def trace():
    if libc.ptrace(16, victim, None, None) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


toy.attempt("kill", lambda: os.kill(victim, signal.SIGKILL))
toy.attempt("stop", lambda: os.kill(victim, signal.SIGSTOP))
toy.attempt("pidfd", lambda: signal.pidfd_send_signal(os.pidfd_open(victim), signal.SIGKILL))
toy.attempt("trace", trace)
toy.attempt("limits", lambda: __import__("resource").prlimit(victim, 7, (1, 1)))
run.finish()
