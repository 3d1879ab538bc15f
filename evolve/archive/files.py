"""How bytes of the archive reach the disk: the one place for atomic replacement and for write errors."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


class ArchiveWriteError(OSError):
    """The archive could not be written, for example because the disk is full.

    What was archived before is whole, and what the Archive holds in memory is not ahead of the disk: once
    the cause is gone, the same call may be made again. `errno` and `filename` are those of the cause.
    """


def write_then_rename(temporary: Path, target: Path, data: bytes, mode: int = 0o644) -> None:
    """Put `data` at `target` so that at any instant a reader sees the old file or the new one, whole.

    `temporary` must not exist and lie on the same file system; it is gone afterwards, whatever happens.

    A killed process loses nothing that was renamed. Nothing is flushed to the device (fsync), so a power
    loss can lose the last seconds: an fsync of `descriptor` before the rename would belong here.

    Raises FileExistsError where `temporary` exists, FileNotFoundError where a folder of either path does
    not, and ArchiveWriteError for everything else.
    """
    try:
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError as error:
        raise write_error(error, target) from error
    try:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        finally:
            os.close(descriptor)
        temporary.rename(target)
    except OSError as error:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        if isinstance(error, FileNotFoundError):
            raise
        raise write_error(error, target) from error


def write_error(error: OSError, path: Path) -> ArchiveWriteError:
    return ArchiveWriteError(error.errno, f"The archive could not be written ({error.strerror})", str(path))
