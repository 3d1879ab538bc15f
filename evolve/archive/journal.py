"""What git does not have yet: an append-only file of changes, flushed with each of them.

Two generations are kept. `evolve-journal` has what was written since the last checkpoint (the moment at which
changes go into git), `evolve-journal.previous` what that checkpoint was made of, so that it can be made again
where a power cut damaged it. Both are gone once an engine has closed the archive.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from evolve.archive.files import ArchiveWriteError, sync_folder, write_all, write_error
from evolve.archive.objects import Changes, Object, object_id

JOURNAL = "evolve-journal"
PREVIOUS = "evolve-journal.previous"


class Journal:
    """The writer of an archive's journal."""

    def __init__(self, git_dir: Path) -> None:
        """Opens nothing: the file is made by the first `append`."""
        self._folder = git_dir
        self._path = git_dir / JOURNAL
        self._descriptor: int | None = None
        self._size = 0

    def append(self, changes: Changes) -> int:
        """Add the changes, on the device when this returns; gives what `undo` takes.

        Raises ArchiveWriteError; the journal is then as before.
        """
        data, size = _dump(changes), self._size
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
                self._size = size = os.fstat(self._descriptor).st_size
                sync_folder(self._folder)
            write_all(self._descriptor, data)
            os.fdatasync(self._descriptor)
        except OSError as error:
            if self._descriptor is not None:
                self.undo(size)
            raise error if isinstance(error, ArchiveWriteError) else write_error(error, self._path) from error
        self._size += len(data)
        return size

    def undo(self, size: int) -> None:
        """Take back what was appended since the journal had this size."""
        assert self._descriptor is not None
        os.ftruncate(self._descriptor, size)
        self._size = size

    def checkpoint(self) -> None:
        """All of it is in git now: begin a new one, and keep the old one in place of the one before.

        Raises ArchiveWriteError; the next checkpoint then does the same again.
        """
        try:
            with contextlib.suppress(FileNotFoundError):
                self._path.rename(self._folder / PREVIOUS)
        except OSError as error:
            raise write_error(error, self._path) from error
        self._close_file()

    def close(self, *, remove: bool) -> None:
        """`remove`: everything is in git, and no later engine needs to look."""
        self._close_file()
        if remove:
            for name in (JOURNAL, PREVIOUS):
                (self._folder / name).unlink(missing_ok=True)

    def _close_file(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._size = None, 0


@dataclass(frozen=True)
class Journaled:
    """What a journal holds. `torn` bytes at its end are of a write that did not come to its end."""

    changes: Changes
    writes: int
    torn: int


def left_behind(git_dir: Path) -> bool:
    """Whether the last engine ended without closing the archive, or still runs."""
    return any((git_dir / name).exists() for name in (JOURNAL, PREVIOUS))


def load(path: Path) -> bytes:
    """The bytes of a journal; none where there is no file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def read(data: bytes) -> Journaled:
    """The changes in a journal's bytes, up to the first that is not whole."""
    changes, writes, position = Changes(), 0, 0
    while position < len(data):
        end = data.find(b"\n", position, position + 40)
        checksum, _, length = data[position:end].partition(b" ") if end >= 0 else (b"", b"", b"")
        if not length.isdigit() or end + 1 + int(length) > len(data):
            break
        body = data[end + 1 : end + 1 + int(length)]
        if checksum != b"%08x" % zlib.crc32(body):
            break
        changes.add(_parse(body))
        writes += 1
        position = end + 1 + int(length)
    return Journaled(changes, writes, len(data) - position)


def _dump(changes: Changes) -> bytes:
    """A line with checksum and length, a line of JSON that says what follows, the objects' contents."""
    listing = [[o.kind, o.name, len(o.data)] for o in changes.objects.values()]
    head = json.dumps({"objects": listing, "refs": changes.refs, "notes": changes.notes}).encode()
    body = b"".join([head, b"\n", *(o.data for o in changes.objects.values())])
    return b"%08x %d\n%s" % (zlib.crc32(body), len(body), body)


def _parse(body: bytes) -> Changes:
    position = body.index(b"\n") + 1
    head = json.loads(body[:position])
    changes = Changes(refs=head["refs"], notes=head["notes"])
    for kind, name, size in head["objects"]:
        data = body[position : position + size]
        changes.objects[object_id(kind, data)] = Object(kind, data, name)
        position += size
    return changes
