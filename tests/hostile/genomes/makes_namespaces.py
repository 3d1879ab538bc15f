#: bwrap = "ok"
#: landlock = "ok"
#: none = "-"
#: ways = ["forked", "started"]
"""Makes namespaces of its own, to have rights in them: over mounts, networks, the view that it was given."""

import ctypes
import os
import subprocess

import toy

run = toy.start()
libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


toy.attempt("unshare", lambda: checked(libc.unshare(0x10000000)))
toy.attempt("mount", lambda: checked(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)))
toy.attempt("umount", lambda: checked(libc.umount2(os.path.dirname(toy.bait("validation")).encode(), 2)))
toy.attempt("chroot", lambda: checked(libc.chroot(b"/proc/1/root")))
toy.attempt("setns", lambda: checked(libc.setns(os.open("/proc/1/ns/mnt", os.O_RDONLY), 0)))
if subprocess.run(["unshare", "-Ur", "true"], capture_output=True, check=False).returncode == 0:
    toy.escaped("unshare -Ur")
with open("/proc/self/status") as file:
    status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
    if int(status[name], 16) and not (name == "CapBnd" and os.getuid()):
        toy.escaped(f"{name} {status[name]}")
run.finish()
