"""A view enforced by Landlock, which needs no privilege: what is not allowed by path is denied.

It cannot give anything of one's own: there is no private /tmp and no /dev/shm, only none. It has no say about the
state of files (names, sizes and times can be asked for); changes of mode, owner and times are the seccomp filter's.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat

from evolve.sandbox import kernel
from evolve.sandbox.view import ALWAYS, View, open_paths

NEEDED_ABI = 3  # before it (Linux 6.2), any file could be truncated
CREATE_RULESET_VERSION = 1
RULE_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
MAKE_CHAR, MAKE_BLOCK = 1 << 6, 1 << 11
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
_HANDLED = {3: (1 << 15) - 1, 5: (1 << 16) - 1}  # by the ABI that first knows the rights
_FOR_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # what a rule about a file may hold
NET_TCP = 0b11  # bind, connect; since ABI 4
SCOPE = 0b11  # abstract Unix sockets and signals of processes outside; since ABI 6


class _Ruleset(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def abi() -> int:
    """The kernel's version of Landlock. Raises OSError where it has none, or it is switched off."""
    return kernel.syscall(
        kernel.SYS_LANDLOCK_CREATE_RULESET, "landlock", ctypes.c_void_p(None), 0, CREATE_RULESET_VERSION
    )


def restrict(view: View) -> None:
    """Confine this process and all it starts to the view, for good. Needs no_new_privs set; raises OSError."""
    version = abi()
    if version < NEEDED_ABI:
        raise OSError(f"Landlock's ABI here is {version}, and {NEEDED_ABI} is needed: Linux 6.2")
    handled = _HANDLED[5 if version >= 5 else 3]
    attributes = _Ruleset(handled, NET_TCP if version >= 4 else 0, SCOPE if version >= 6 else 0)
    # Each ABI knows a longer structure, and refuses one whose unknown part is not zero.
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = kernel.syscall(
        kernel.SYS_LANDLOCK_CREATE_RULESET, "landlock_create_ruleset", ctypes.byref(attributes), size, 0
    )
    reading = EXECUTE | READ_FILE | READ_DIR
    for path in open_paths(view):
        _allow(ruleset, path, reading)
    _allow(ruleset, "/proc", READ_FILE | READ_DIR)
    _allow(ruleset, view.scratch, handled & ~(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV))
    for path in ALWAYS:
        _allow(ruleset, path, READ_FILE | WRITE_FILE)
    for path in view.devices:
        _allow(ruleset, path, (READ_FILE | WRITE_FILE | READ_DIR | IOCTL_DEV) & handled)
    if view.devices:
        # CUDA names its threads through /proc, and does not start where it may not.
        _allow(ruleset, f"/proc/{os.getpid()}", READ_FILE | READ_DIR | WRITE_FILE)
    kernel.syscall(kernel.SYS_LANDLOCK_RESTRICT_SELF, "landlock_restrict_self", ruleset, 0)
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    with contextlib.suppress(FileNotFoundError):  # gone meanwhile: then there is nothing to allow
        parent = os.open(path, os.O_PATH)
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            rights &= _FOR_FILES
        rule = _PathBeneath(rights, parent)
        kernel.syscall(
            kernel.SYS_LANDLOCK_ADD_RULE,
            f"landlock_add_rule {path}",
            ruleset,
            RULE_PATH_BENEATH,
            ctypes.byref(rule),
            0,
        )
        os.close(parent)
