"""Writing git references: all of them in one file, `packed-refs`, under git's own lock protocol."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from evolve.archive import files
from evolve.archive.files import ArchiveWriteError

PACKED = "packed-refs"
BACKUP = "evolve-refs.previous"  # the file as it was before the last checkpoint
LOCK_WAIT = 5.0  # seconds; git packs references in milliseconds
_HEADER = "# pack-refs with: peeled fully-peeled sorted \n"
_LINE = re.compile(r"([0-9a-f]{40}) (refs/\S+)|(\^[0-9a-f]{40})")


class Refs:
    """The references of an archive as one writer sees them: read once, then kept in step with the disk.

    They change together, by one rename, so that readers see all of a checkpoint or nothing. A reference that
    somebody else made meanwhile stays. Names are full (`refs/heads/champion`).
    """

    def __init__(self, git_dir: Path, known: dict[str, str]) -> None:
        self._git_dir = git_dir
        self._known = known

    def get(self, name: str) -> str | None:
        return self._known.get(name)

    def under(self, prefix: str) -> dict[str, str]:
        """Names that start with `prefix`, without it, and their objects."""
        return {name[len(prefix) :]: id for name, id in self._known.items() if name.startswith(prefix)}

    def write(self, updates: Mapping[str, str | None]) -> None:
        """Point references at objects, which must exist; delete those without one. On the device when it returns.

        Raises ArchiveWriteError where that is impossible, also where another process holds a lock; nothing
        has changed then.
        """
        changed = {name: id for name, id in updates.items() if self._known.get(name) != id}
        if not changed:
            return
        path = self._git_dir / PACKED
        lock = self._lock(path)
        try:
            lines = _read(path)
            for name, id in changed.items():
                if id is None:
                    lines.pop(name, None)
                else:
                    lines[name] = f"{id} {name}\n"
            text = _HEADER + "".join(line for _, line in sorted(lines.items()))
            new = self._git_dir / f"{PACKED}.new"
            new.unlink(missing_ok=True)
            keep_backup(self._git_dir)
            files.write_then_rename(new, path, text.encode())
        finally:
            lock.unlink(missing_ok=True)
        files.sync_folder(self._git_dir)
        for name, id in changed.items():
            if id is None:
                self._known.pop(name, None)
            else:
                self._known[name] = id
            self._unshadow(name)

    def _lock(self, path: Path) -> Path:
        lock = path.with_name(path.name + ".lock")
        deadline = time.monotonic() + LOCK_WAIT
        while True:
            try:
                os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
                return lock
            except FileExistsError as error:
                if time.monotonic() > deadline:
                    raise ArchiveWriteError(
                        errno.EEXIST, "Another process holds the lock of the references", str(lock)
                    ) from error
                time.sleep(0.002)
            except OSError as error:
                raise files.write_error(error, lock) from error

    def _unshadow(self, name: str) -> None:
        """Remove the file that somebody else's git made of a reference of ours: git would read it instead."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            (self._git_dir / name).unlink()


def keep_backup(git_dir: Path) -> None:
    """Keep `packed-refs`, which is about to be replaced, under another name."""
    packed, backup = git_dir / PACKED, git_dir / BACKUP
    try:
        backup.unlink(missing_ok=True)
        if packed.exists():
            try:
                os.link(packed, backup)
            except OSError:  # a file system without hard links
                shutil.copyfile(packed, backup)
    except OSError as error:
        raise files.write_error(error, backup) from error


def _read(path: Path) -> dict[str, str]:
    """Each reference's line, with the line that git adds for a tag. Raises ArchiveWriteError where it is damaged."""
    lines, whole = parse(path)
    if not whole:
        raise ArchiveWriteError(errno.EIO, "The references are damaged", str(path))
    return lines


def parse(path: Path) -> tuple[dict[str, str], bool]:
    """The references of a packed-refs file as lines by name, and whether all of it could be read."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}, True
    lines: dict[str, str] = {}
    last, whole = "", text.endswith("\n")
    for line in text.splitlines(keepends=True):
        match = _LINE.fullmatch(line.rstrip("\n"))
        if line.startswith("#"):
            continue
        if match is None or not line.endswith("\n"):
            whole = False
        elif match[3]:
            lines[last] += line
        else:
            last = match[2]
            lines[last] = line
    return lines, whole


def are_whole(git_dir: Path) -> bool:
    """Whether the file of references is there and can be read to its end."""
    return (git_dir / PACKED).exists() and parse(git_dir / PACKED)[1]


def loose(git_dir: Path) -> list[Path]:
    """The files of references that are not packed: made by a user's git, or by an older evolve."""
    return [path for path in (git_dir / "refs").rglob("*") if path.is_file() and path.suffix != ".lock"]


def remove_stale_locks(git_dir: Path) -> None:
    """Remove the locks that a killed process left. The caller must be the archive's only writer."""
    for path in (git_dir / "refs").rglob("*.lock"):
        path.unlink(missing_ok=True)
    for name in ("HEAD.lock", f"{PACKED}.lock", f"{PACKED}.new"):
        (git_dir / name).unlink(missing_ok=True)
