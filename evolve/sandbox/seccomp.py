"""The system calls that no genome needs, and by which it could get out of, or leave something beyond, its sandbox.

No sockets (pairs are fine): neither namespaces nor Landlock keep a process from a Unix socket that it can see. Nothing
that outlives its process outside of files: System V and POSIX queues, kernel keys. No namespaces of its own, in which
it would have rights over more of the kernel, and no interface that goes around this filter. No other cores than it was
given: those are a neighbour's.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from dataclasses import dataclass

from evolve.sandbox import kernel

X86_64, AARCH64 = 0xC000_003E, 0xC000_00B7  # AUDIT_ARCH_*
_NEVER = -1  # a call that an architecture does not have
# Numbers on x86_64 and on aarch64.
DENIED = {
    "socket": (41, 198),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "io_uring_setup": (425, 425),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "sched_setaffinity": (203, 122),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
}
# Landlock has no say about these. They do nothing then, and say that they did: copying a file calls them, too.
MUTED = {
    "chmod": (90, _NEVER),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, _NEVER),
    "fchown": (93, 55),
    "lchown": (94, _NEVER),
    "fchownat": (260, 54),
    "utime": (132, _NEVER),
    "utimes": (235, _NEVER),
    "futimesat": (261, _NEVER),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
}
CLONE, CLONE3 = (56, 220), (435, 435)
PRCTL, IOCTL, PRLIMIT = (157, 167), (16, 29), (302, 261)
SECCOMP = (317, 277)
SET_FLAGS = (0x4008_6602, 0x401C_5820)  # FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR: marks that stay on a file

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF operations
_NUMBER, _ARCHITECTURE, _ARGUMENT, _ARGUMENT_2 = 0, 4, 16, 24  # offsets in struct seccomp_data, little-endian
_ALLOW, _ERRNO, _KILL = 0x7FFF_0000, 0x0005_0000, 0x8000_0000
_SET_FILTER, _SPECULATION_ALLOWED = 1, 4
_X32 = 0x4000_0000  # numbers of x86_64's other calling convention


@dataclass(frozen=True)
class Filter:
    """A BPF program as the kernel and bwrap take it."""

    program: bytes

    def apply(self) -> None:
        """Filter this process's calls from now on, and those of all it starts. Needs no_new_privs set."""
        code = ctypes.create_string_buffer(self.program, len(self.program))
        pointer = ctypes.addressof(code)
        described = struct.pack("@HxxxxxxP", len(self.program) // 8, pointer)
        holder = ctypes.create_string_buffer(described, len(described))
        number = SECCOMP[0] if os.uname().machine == "x86_64" else SECCOMP[1]
        # Without the flag, Linux before 5.16 slows a filtered process down by what guards against its own speculation.
        kernel.syscall(number, "seccomp", _SET_FILTER, _SPECULATION_ALLOWED, ctypes.byref(holder))

    def as_pipe(self) -> int:
        """The reading end of a pipe that holds the program, for a program that is executed."""
        reading, writing = os.pipe()
        os.write(writing, self.program)
        os.close(writing)
        os.set_inheritable(reading, True)
        return reading


def missing() -> str:
    """Why there is no filter on this machine; empty where there is one."""
    if os.uname().machine not in ("x86_64", "aarch64"):
        return f"none for {os.uname().machine}"
    return "" if os.path.exists("/proc/sys/kernel/seccomp/actions_avail") else "the kernel has none"


def make_filter(*, mute: bool, machine: str | None = None) -> Filter:
    """`mute`: changes of a file's mode, owner, times and attributes do nothing, too.

    Raises OSError on a machine whose calls are not known here.
    """
    machine = machine or os.uname().machine
    if machine not in ("x86_64", "aarch64"):
        raise OSError(errno.ENOSYS, f"there is no seccomp filter for {machine}")
    column, architecture = (0, X86_64) if machine == "x86_64" else (1, AARCH64)
    denied, nothing = _ERRNO | errno.EPERM, _ERRNO
    code = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":
        code += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, denied)]
    for numbers in DENIED.values():
        code += _refuse(numbers[column], denied)
    if mute:
        for numbers in MUTED.values():
            if numbers[column] != _NEVER:
                code += _refuse(numbers[column], nothing)
        for flags in SET_FLAGS:
            code += _refuse_where(IOCTL[column], _ARGUMENT_2, _EQUAL, flags, denied)
    code += _refuse(CLONE3[column], _ERRNO | errno.ENOSYS)  # its flags cannot be read here; libc then uses clone
    code += _refuse_where(CLONE[column], _ARGUMENT, _ANY_BIT, kernel.CLONE_NEWUSER, denied)
    # Limits of another process; its own are those of the number 0.
    code += _refuse_where(PRLIMIT[column], _ARGUMENT, _AT_LEAST, 1, denied)
    # What is not dumpable hides its open files from the supervisor that counts them.
    code += _refuse_where(PRCTL[column], _ARGUMENT, _EQUAL, kernel.PR_SET_DUMPABLE, denied)
    code.append((_RETURN, 0, 0, _ALLOW))
    return Filter(b"".join(struct.pack("<HBBI", *line) for line in code))


Line = tuple[int, int, int, int]


def _refuse(number: int, answer: int) -> list[Line]:
    return [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, answer)]


def _refuse_where(number: int, argument: int, test: int, value: int, answer: int) -> list[Line]:
    """Refuse a call whose argument (its lower half) passes the test; the number is loaded again after."""
    return [
        (_EQUAL, 0, 4, number),
        (_LOAD, 0, 0, argument),
        (test, 0, 1, value),
        (_RETURN, 0, 0, answer),
        (_LOAD, 0, 0, _NUMBER),
    ]
