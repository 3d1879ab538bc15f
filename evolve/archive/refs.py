"""Writing git references: loose files under git's own lock protocol, without starting git."""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence
from pathlib import Path

from evolve.archive import plumbing
from evolve.archive.files import ArchiveWriteError, write_error, write_then_rename

LOCK_WAIT = 5.0  # seconds; git packs a reference in milliseconds


class Refs:
    """The references of an archive as one writer sees them: read once, then kept in step with the disk.

    A reference that already has its value is not written again. Names are full (`refs/heads/champion`).
    """

    def __init__(self, git_dir: Path, known: dict[str, str]) -> None:
        self._git_dir = git_dir
        self._known = known

    def get(self, name: str) -> str | None:
        return self._known.get(name)

    def under(self, prefix: str) -> dict[str, str]:
        """Names that start with `prefix`, without it, and their objects."""
        return {name[len(prefix) :]: id for name, id in self._known.items() if name.startswith(prefix)}

    def write(self, name: str, id: str) -> None:
        """Point `name` at the object `id`, which must exist.

        Raises ArchiveWriteError where that is impossible, also where another process holds its lock.
        """
        if self._known.get(name) == id:
            return
        path = self._git_dir / name
        lock = path.with_name(path.name + ".lock")
        deadline = time.monotonic() + LOCK_WAIT
        while True:
            try:
                write_then_rename(lock, path, f"{id}\n".encode())
                break
            except FileExistsError as error:
                # `git pack-refs` takes the lock for a moment when it drops a packed reference's loose file.
                if time.monotonic() > deadline:
                    raise ArchiveWriteError(
                        errno.EEXIST, "Another process holds a reference's lock", str(lock)
                    ) from error
                time.sleep(0.002)
            except FileNotFoundError:  # a new folder, or `git pack-refs` removed it when it became empty
                self._make_folder(path.parent)
        self._known[name] = id

    def delete(self, names: Sequence[str]) -> None:
        """Delete references, from the packed ones, too. Raises ArchiveWriteError where git cannot."""
        if not names:
            return
        commands = "".join(f"delete {name}\n" for name in names)
        try:
            plumbing.run(self._git_dir, "update-ref", "--stdin", stdin=commands.encode())
        except plumbing.GitError as error:
            raise ArchiveWriteError(errno.EIO, str(error), str(self._git_dir)) from error
        for name in names:
            del self._known[name]

    def _make_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(error, folder) from error


def remove_stale_locks(git_dir: Path) -> None:
    """Remove the locks that a killed process left. The caller must be the archive's only writer."""
    for path in (git_dir / "refs").rglob("*.lock"):
        path.unlink(missing_ok=True)
    for name in ("HEAD.lock", "packed-refs.lock", "packed-refs.new"):
        (git_dir / name).unlink(missing_ok=True)
