#: bwrap = "ok"
#: landlock = "ok"
#: none = "-"
#: runs = 2
#: ways = ["forked", "started"]
"""Leaves a note for its next run in memory that outlives a process: System V and POSIX IPC, kernel keys."""

import ctypes
import os

import toy

KEY = 0x6E6F7465
run = toy.start()
libc = ctypes.CDLL(None, use_errno=True)
for what, attack in {
    "System V memory": lambda: libc.shmget(KEY, 4096, 0o1600),
    "System V semaphore": lambda: libc.semget(KEY, 1, 0o1600),
    "System V queue": lambda: libc.msgget(KEY, 0o1600),
    "POSIX queue": lambda: libc.mq_open(b"/hostile-note", os.O_RDWR | os.O_CREAT, 0o600, None),
    "key": lambda: libc.syscall(248, b"user", b"hostile-note", b"1", 1, -5) if os.uname().machine == "x86_64" else -1,
}.items():
    if attack() >= 0:
        toy.escaped(what)
if os.path.exists("/dev/shm/hostile-note"):
    toy.escaped("an earlier run left a file in /dev/shm")
try:
    os.close(os.open("/dev/shm/hostile-note", os.O_CREAT | os.O_WRONLY))
except PermissionError:
    print("no /dev/shm")
run.finish()
