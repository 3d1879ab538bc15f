"""What a warm parent is asked to run: plain values that cross a Unix socket as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from evolve.sandbox.confinement import Mode
from evolve.sandbox.view import View

FIRST_FD = 3  # the number of the first descriptor that is handed to a process, in that process; then 4, 5, ...
REPORT_FD = FIRST_FD  # a genome's report pipe
MAX_FDS = 8  # handed to one process
READY = b"ready"  # a warm parent has imported everything
KILL = b"kill"  # the harness to a supervisor
MAX_MESSAGE = 128 * 1024  # bytes; a Unix packet socket carries about 200 KB


@dataclass(frozen=True)
class Job:
    """One process to run. `script` is the path to run in the fork itself; None: `argv` is executed.

    The scratch folder is `view.scratch`.
    """

    argv: list[str]
    script: str | None
    environment: dict[str, str]
    cores: list[int]
    memory_mb: int
    scratch_mb: int
    sandbox: Mode
    view: View

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Job:
        values = json.loads(data)
        view: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values["view"].items()
        }
        view["links"] = tuple((path, target) for path, target in view["links"])
        return cls(**{**values, "sandbox": Mode(values["sandbox"]), "view": View(**view)})
