"""How bytes of the archive reach the disk: the one place for durable writes and for write errors."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path


class ArchiveWriteError(OSError):
    """The archive could not be written, for example because the disk is full.

    What was archived before is whole, and what the Archive holds in memory is not ahead of the disk: once
    the cause is gone, the same call may be made again. `errno` and `filename` are those of the cause.
    """


def create(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Make a new file with these bytes, flushed to the device; after a failure it is not there.

    Raises FileExistsError where it exists, and ArchiveWriteError for everything else.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    except FileExistsError:
        raise
    except OSError as error:
        raise write_error(error, path) from error
    try:
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        raise write_error(error, path) from error


def write_then_rename(temporary: Path, target: Path, data: bytes, mode: int = 0o644) -> None:
    """Put `data` at `target` so that at any instant a reader sees the old file or the new one, whole, and flushed.

    `temporary` must not exist and lie on the same file system; it is gone afterwards, whatever happens. Raises
    FileExistsError where it exists, and ArchiveWriteError for everything else.
    """
    create(temporary, data, mode)
    rename(temporary, target)


def rename(source: Path, target: Path) -> None:
    """Give a file its final name. Raises ArchiveWriteError, `source` being gone then."""
    try:
        source.rename(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            source.unlink()
        raise write_error(error, target) from error


def write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the device, where its file system can. Raises ArchiveWriteError."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems flush files alone
            raise write_error(error, folder) from error


def write_error(error: OSError, path: Path) -> ArchiveWriteError:
    return ArchiveWriteError(error.errno, f"The archive could not be written ({error.strerror})", str(path))
