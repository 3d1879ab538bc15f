"""One run of a coding agent: a command with a time limit, ended whole, its output kept to the last of it."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LARGEST_OUTPUT = 64_000  # bytes kept of standard output, and as many of standard error
POLL = 1.0  # seconds
SOURCES = Path(__file__).resolve().parents[2]  # where the keeper's interpreter finds evolve
_KEEPER = (
    "import sys; sys.path.insert(0, sys.argv[1]); from evolve.llm.keeper import main; sys.exit(main(sys.argv[2:]))"
)
# An agent's git commands are about its checkout, whatever the user's own are about.
GIT_PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE")


@dataclass(frozen=True)
class Ending:
    """How an agent ended. `code`: the exit code, 128 + n for signal n."""

    code: int
    timed_out: bool
    seconds: float
    output: str  # the last of it
    errors: str


class AgentProcess:
    """Runs a command under a keeper (see keeper.py) in a session of its own, with the user's whole environment."""

    def __init__(self, command: Sequence[str], checkout: Path, prompt: Path, scratch: Path) -> None:
        """`prompt` is its standard input, `checkout` its current folder, both in `scratch`. Raises OSError."""
        environment = {name: value for name, value in os.environ.items() if name not in GIT_PLACES}
        # Isolated (-I): the user's PYTHONPATH, which the agent gets as it is, does not decide what runs here.
        keeper = [sys.executable, "-I", "-c", _KEEPER, str(SOURCES), str(scratch), str(prompt)]
        self._control_lock = threading.Lock()
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [*keeper, *command],
            cwd=checkout,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def end(self) -> None:
        """Have the agent killed with all it started; returns at once. Safe from any thread, and more than once."""
        with self._control_lock:
            assert self._process.stdin is not None  # a pipe
            self._process.stdin.close()

    def wait(self, seconds: float) -> Ending:
        """Read its output until it ends; after `seconds` from its start, end it."""
        process = self._process
        assert process.stdout is not None and process.stderr is not None  # both are pipes
        kept = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
        timed_out = False
        with selectors.DefaultSelector() as selector:
            for descriptor in kept:
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map():
                left = POLL if timed_out else max(0.0, self._started + seconds - time.monotonic())
                ready = selector.select(min(left, POLL))
                for key, _ in ready:
                    data = os.read(key.fd, 65536)
                    kept[key.fd] += data
                    del kept[key.fd][:-LARGEST_OUTPUT]
                    if not data:
                        selector.unregister(key.fd)
                if not timed_out and time.monotonic() - self._started >= seconds:
                    timed_out = True
                    self.end()
                if not ready and process.poll() is not None:
                    break  # the keeper itself was killed, and what it kept has the pipes still
        code = process.wait()
        self.end()
        output, errors = (bytes(data).decode("utf-8", "replace") for data in kept.values())
        process.stdout.close()
        process.stderr.close()
        return Ending(code, timed_out, time.monotonic() - self._started, output, errors)
