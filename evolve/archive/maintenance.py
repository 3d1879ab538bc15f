"""Packing in the background: the packs of checkpoints into few, in which objects are stored as differences."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from evolve.archive import plumbing
from evolve.errors import UserError

LOCK_FILE = "evolve-packing.lock"
ORPHAN_WAIT = 120.0  # seconds; packing after 300 births takes about one

# The new objects are packed by a list, newest first and with names: git then finds the previous version of a
# tree or a genome and stores the difference. In the packs of checkpoints ("$@") nothing is stored as a
# difference; --no-reuse-delta because git takes what a pack has whole for what it could not make smaller.
# --geometric takes loose objects along and merges packs so that each is at least twice the next one's size: an
# object is rewritten a logarithmic number of times; unreferenced ones are kept. One thread at low priority, so that
# no timed run notices. A note's tree has a version a checkpoint: the usual limit of 50 differences in a chain would
# make every 50th of them, and what follows, several times as large.
_SCRIPT = r"""
export GIT_DIR="$1"; shift
git -c pack.threads=1 pack-objects -q --non-empty --no-reuse-delta --depth=250 \
    "$GIT_DIR/objects/pack/pack" >/dev/null &&
for pack in "$@"; do rm -f "${pack%.pack}.idx" "$pack"; done &&
git -c pack.threads=1 repack -d -q --geometric=2 --depth=250
"""

logger = logging.getLogger(__name__)


class Packing:
    """Packs an archive in a process of its own, at most one at a time.

    Git replaces files only when their successors are whole, so the process may be killed at any instant,
    and readers and the one writer work on meanwhile. It holds a lock on a file as long as it lives, also
    when its engine was killed: the next engine waits for it before it removes what killed processes left.
    """

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def start(self, written: Sequence[tuple[str, str]], packs: Sequence[Path]) -> None:
        """Begin to pack, nothing being under way: the (id, name) pairs `written`, oldest first, and the rest.

        `packs` have nothing else and are removed.

        A failure, also a later one, is logged: the archive is whole without packing.
        """
        try:
            errors = tempfile.TemporaryFile()  # noqa: SIM115 - read when the process has ended
            with self.no_other() as lock, tempfile.TemporaryFile() as listing:
                listing.write("".join(f"{id} {name}\n" for id, name in reversed(written)).encode())
                listing.seek(0)
                self._process = plumbing.start(
                    ["nice", "-n", "19", "sh", "-c", _SCRIPT, "sh", str(self._git_dir), *map(str, packs)],
                    stdin=listing.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=errors.fileno(),
                    pass_fds=[lock],
                )
            self._errors = errors
        except OSError as error:
            logger.warning("Packing %s could not begin, nothing is lost: %s", self._git_dir, error)

    def running(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            self.wait()
        return self._process is not None

    def wait(self) -> None:
        """Wait for the end of what was started."""
        if self._process is None or self._errors is None:
            return
        code = self._process.wait()
        with self._errors as errors:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()
        if code != 0:
            logger.warning("Packing %s failed (code %d), nothing is lost: %s", self._git_dir, code, said)
        self._process = self._errors = None

    @contextlib.contextmanager
    def no_other(self) -> Iterator[int]:
        """Hold the packing lock; gives its descriptor. A process that inherits it goes on holding it.

        Raises UserError where the packing of a killed engine does not end.
        """
        descriptor = os.open(self._git_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            deadline = time.monotonic() + ORPHAN_WAIT
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() > deadline:
                        raise UserError(
                            f"Another process has been packing {self._git_dir} for over {ORPHAN_WAIT:.0f} s. "
                            "End that `git repack`, or wait for it, and start again."
                        ) from error
                    time.sleep(0.02)
            yield descriptor
        finally:
            os.close(descriptor)


def remove_leftovers(git_dir: Path) -> None:
    """Remove half-written packs of a killed packing or checkpoint. No packing may be under way."""
    folder = git_dir / "objects" / "pack"
    for pattern in ("tmp_*", ".tmp-*"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
