"""What bubblewrap does, done in a fork: namespaces of its own, and in them nothing but a view.

For a process that is forked, as no program can be executed around one. Needs Linux 5.12 and the right to make
user namespaces.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import NoReturn

from evolve.sandbox import kernel
from evolve.sandbox.view import Do, Step, View, steps

STAGE = "/tmp"  # where the new root is put together: a folder that exists everywhere
MB = 1_000_000
HIGHEST_FD = 1 << 20
_ALL = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWCGROUP
)


class Namespaces:
    """New namespaces for the children of this process, which must have no other thread.

    `init` is the first process in them: when it ends, the kernel ends all others, at once and whatever they do. Raises
    OSError where the system does not allow it.
    """

    def __init__(self, view: View) -> None:
        user, group = os.getuid(), os.getgid()
        kernel.unshare(_ALL)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.init = os.fork()
        if self.init == 0:
            ours.close()
            _be_init(view, theirs)
        theirs.close()
        with ours:
            said, descriptors, _, _ = socket.recv_fds(ours, 4096, 1)
        if not descriptors:
            raise OSError(said.decode(errors="replace") or "the first process of the namespaces was killed")
        self._mounts = descriptors[0]

    def enter(self, folder: str) -> None:
        """Move this process, a fresh fork of the one that made the namespaces, in; for good and without rights."""
        kernel.join_mount_namespace(self._mounts)
        os.chdir(folder)
        kernel.drop_capabilities()


def _be_init(view: View, harness: socket.socket) -> NoReturn:
    """The life of the first process: make the view, hand it over, and be there. It shows no one its memory."""
    try:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        kernel.unshare(kernel.CLONE_NEWNS)
        descriptor = os.open("/proc/self/ns/mnt", os.O_RDONLY)
        _build(view)
        socket.send_fds(harness, [b"ready"], [descriptor])
        kernel.drop_capabilities()
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        os.closerange(0, HIGHEST_FD)
        _wait_for_orphans()
    except OSError as error:
        harness.send(str(error).encode()[:4000])
    finally:
        os._exit(1)


def _wait_for_orphans() -> NoReturn:
    """Ignoring SIGCHLD would do it, too, but what they used of the CPU would not be added to this process's account."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        signal.sigwait({signal.SIGCHLD})


def _build(view: View) -> None:
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)  # nothing done here shows outside
    plan = steps(view)
    sources = {
        step.source: os.open(step.source, os.O_PATH)  # before anything is mounted: the stage hides what lies below it
        for step in plan
        if step.do in (Do.SHOW, Do.OFFER, Do.DEVICE)
    }
    kernel.mount("tmpfs", STAGE, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"size={MB},mode=0755")
    for step in plan:
        _take(step, STAGE + step.path.rstrip("/"), sources)
    kernel.exchange_root(STAGE)
    for source in sources.values():
        os.close(source)


def _take(step: Step, target: str, sources: dict[str, int]) -> None:
    if step.do is Do.LINK:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.symlink(step.source, target)
    elif step.do is Do.SEAL:
        kernel.restrict_mount(target, kernel.MOUNT_ATTR_RDONLY, recursive=False)
    elif step.do is Do.EMPTY:
        os.makedirs(target, exist_ok=True)
        data = f"size={step.megabytes * MB},mode=0755"
        kernel.mount("tmpfs", target, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, data)
    elif step.do is Do.PROC:
        os.makedirs(target, exist_ok=True)
        kernel.mount("proc", target, "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    else:
        _bind(step, target, f"/proc/self/fd/{sources[step.source]}")


def _bind(step: Step, target: str, source: str) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.lexists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o444))
    kernel.bind(source, target)
    attributes = kernel.MOUNT_ATTR_NOSUID
    if step.do is not Do.DEVICE:
        attributes |= kernel.MOUNT_ATTR_NODEV
    if step.do is Do.SHOW:
        attributes |= kernel.MOUNT_ATTR_RDONLY
    kernel.restrict_mount(target, attributes, recursive=True)
