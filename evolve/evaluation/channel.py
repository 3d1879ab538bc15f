"""The harness's end of the socket that a genome reports on: what comes in, and the files that are handed over."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path


class Channel:
    """A socket pair; `theirs` is for the genome alone and is to be closed here once it runs."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        self._theirs.close()

    @property
    def ours(self) -> int:
        return self._ours.fileno()

    @property
    def theirs(self) -> int:
        return self._theirs.fileno()

    def close_theirs(self) -> None:
        self._theirs.close()

    def answer(self, files: Sequence[str] = (), *, write: bool = False, **values: object) -> None:
        """Answer the genome's last event with values and open files, to be read, or new ones to be written to.

        A genome that does not listen gets nothing: nobody waits for it. Raises OSError where a file cannot be opened.
        """
        with contextlib.ExitStack() as closing:
            fds = [closing.enter_context(_open(Path(file), write)) for file in files]
            with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                socket.send_fds(self._ours, [json.dumps(values).encode() + b"\n"], fds)


@contextlib.contextmanager
def _open(file: Path, write: bool) -> Iterator[int]:
    # A file to be written to is new: nothing that a genome may have put in its place is followed.
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL if write else os.O_RDONLY, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)
