"""What every genome may read: the system's programs and libraries, this Python, and what it imports."""

from __future__ import annotations

import functools
import os
import site
import sys
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2]  # where `import gpt` and `import evolve` are found
# Of /etc, what libraries read; nothing that holds a secret where evolve runs as root.
SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix", "/gnu"),
    *("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime"),
    *("/etc/timezone", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/mime.types", "/etc/fonts"),
    *("/etc/ssl/openssl.cnf", "/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/OpenCL", "/etc/nvidia"),
    *("/sys/devices", "/sys/bus", "/sys/class", "/sys/module"),
)


@functools.cache
def always_readable(python_path: str) -> tuple[str, ...]:
    """Absolute paths, existing or not. `python_path`: the genome's PYTHONPATH.

    Of evolve's own folder only `gpt`, which genomes import: beside it may lie anything, a file of keys among it.
    """
    python = {sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(sys.executable).resolve().parents[1])}
    packages = {*site.getsitepackages(), site.getusersitepackages()}
    # What .pth files added, but not the folder that evolve was started in.
    added = {path for path in sys.path if os.path.isabs(path) and path != os.getcwd() and os.path.isdir(path)}
    own = {path for path in python_path.split(os.pathsep) if path}
    imported = {path for path in packages | added | own if Path(path) != SOURCES}
    return tuple(sorted({*SYSTEM, *python, *imported, str(SOURCES / "gpt")} - {"/"}))
