"""File systems of their own, in memory: disks that can be small, fill up, or turn read-only."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(path: Path, size: str, *, lazy: bool = False) -> Iterator[Path]:
    """A new file system of `size` ("2m") at `path`; skips the test where this user may not mount one.

    `lazy`: it may still be in use when the test ends.
    """
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", *(["--lazy"] if lazy else []), str(path)], check=True)
