"""What a warm parent is asked to run: plain values that cross a Unix socket as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

REPORT_FD = 3  # the report pipe's number inside the genome's process
READY = b"ready"  # a warm parent has imported everything
KILL = b"kill"  # the harness to a supervisor
MAX_MESSAGE = 128 * 1024  # bytes; a Unix packet socket carries about 200 KB


@dataclass(frozen=True)
class Job:
    """One genome to run. `script` is the path to run in the fork itself; None: `argv` is executed."""

    argv: list[str]
    script: str | None
    scratch: str
    environment: dict[str, str]
    cores: list[int]
    memory_mb: int

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Job:
        return cls(**json.loads(data))
