"""What a run and whoever started it tell each other: a JSON object a line, on a Unix socket."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from typing import Any, BinaryIO

MAX_ANSWER = 4096  # bytes
MAX_FILES = 8  # that come with an answer


class Report:
    """Writes events to an open socket, or nowhere when the genome is run by hand."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    @property
    def connected(self) -> bool:
        return self._descriptor is not None

    def send(self, event: str, **values: Any) -> None:
        """Write one event. Raises BrokenPipeError where nobody reads any more: such a run has no purpose."""
        if self._descriptor is None:
            return
        line = json.dumps({"event": event, **values}, allow_nan=False) + "\n"
        data = line.encode()
        while data:
            data = data[os.write(self._descriptor, data) :]

    def ask(self, event: str, **values: Any) -> tuple[dict[str, Any], list[BinaryIO]]:
        """Write one event that is answered, and wait for the answer and the files that come with it.

        Both are empty when the genome is run by hand. Raises BrokenPipeError as `send` does.
        """
        self.send(event, **values)
        if self._descriptor is None:
            return {}, []
        with socket.socket(fileno=os.dup(self._descriptor)) as connection:
            data, descriptors, _, _ = socket.recv_fds(connection, MAX_ANSWER, MAX_FILES)
        files: list[BinaryIO] = [os.fdopen(one, "r+b" if _writable(one) else "rb") for one in descriptors]
        if not data:
            raise BrokenPipeError("the harness is gone")
        answer: dict[str, Any] = json.loads(data)
        return answer, files


def _writable(descriptor: int) -> bool:
    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
