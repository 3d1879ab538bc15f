"""The harness's side of the warm parents: starting them, sending them jobs, talking to the supervisors."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evolve.errors import UserError
from evolve.evaluation.job import KILL, MAX_MESSAGE, READY, Job
from evolve.evaluation.process_tree import cpu_seconds, descendants, send
from evolve.evaluation.trial import HarnessFault

IMPORT_CAP = 600.0  # seconds for a warm parent's imports; a cold disk and a large torch take minutes
FORK_CAP = 30.0  # seconds from a job sent to its genome's process
END_CAP = 5.0  # seconds that it has to end when nothing is asked of it any more
ATTEMPTS = 2


class ParentDied(Exception):  # noqa: N818
    """The warm parent, or the supervisor it forked, ended before the genome's process existed."""


@dataclass(frozen=True)
class Exit:
    """How a genome's process ended. `code` is negative for a signal; `cap`: what it was killed for, or ""."""

    code: int
    peak_mb: float
    cap: str


class Supervised:
    """A running genome, through the control socket of its supervisor. Closing it kills the genome's tree."""

    def __init__(self, control: socket.socket, supervisor: int, genome: int) -> None:
        self.control = control
        self.genome = genome
        self._supervisor = supervisor

    def close(self) -> None:
        self.control.close()

    def cpu_seconds(self) -> float:
        """CPU time of all the genome's processes so far, the ended ones included."""
        return cpu_seconds([self._supervisor, *descendants(self._supervisor)])

    def kill(self) -> None:
        """Ask the supervisor to end the whole tree; its `Exit` still comes."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.control.send(KILL)

    def kill_supervisor(self) -> None:
        """For one that does not answer: the kernel then ends the genome, the warm parent the rest."""
        send(self._supervisor, signal.SIGKILL)

    def read_exit(self) -> Exit | None:
        """Read the `Exit` when `control` is readable; None: the supervisor ended without a word."""
        data = b""
        for _ in range(2):  # where it left without reading that it should kill, that is told once, before what it said
            with contextlib.suppress(ConnectionResetError):
                data = self.control.recv(MAX_MESSAGE)
                break
        if not data:
            self._end_what_is_left()
        return Exit(**json.loads(data)) if data else None

    def _end_what_is_left(self) -> None:
        """For a supervisor that was killed, as its warm parent may have been, who would do this.

        The kernel ends the genome's main process with it. Where that is bubblewrap's first process, and has not yet
        told its second one to go on, the second would wait for that without end.
        """
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.genome, signal.SIGKILL)


class WarmParent:
    """One helper process that has imported `preload`; thread-safe. Ends when this object or process does.

    Raises UserError where the modules cannot be imported.
    """

    def __init__(self, preload: tuple[str, ...], environment: dict[str, str]) -> None:
        self._lock = threading.Lock()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process that writes it
        self._words = ""  # the last ones, of a log that is closed
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            arguments = [str(theirs.fileno()), *preload]
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "evolve.evaluation.warm", *arguments],
                env=environment,
                cwd="/",
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,  # Ctrl-C in the terminal is for the engine alone
            )
        self._socket.settimeout(IMPORT_CAP)
        if self._receive(self._socket) != READY:
            said = self.last_words()
            self.close()
            raise UserError(f"The modules {', '.join(preload) or '(none)'} cannot be preloaded: {said}")

    @property
    def pid(self) -> int:
        return self._process.pid

    def last_words(self) -> str:
        """The last line that the process wrote, for an error message; also when another thread has closed this."""
        with self._lock:
            return self._words if self._log.closed else self._read_words()

    def _read_words(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        lines = os.pread(self._log.fileno(), 4096, max(0, size - 4096)).decode(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it said nothing.")

    def launch(self, job: Job, output: int, descriptors: Sequence[int]) -> Supervised:
        """Run a job; `output` is a pipe for what it prints, `descriptors` become 3 and on in it.

        The caller keeps its own copies.

        Raises ParentDied, and HarnessFault where its sandbox cannot be made.
        """
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fds = [theirs.fileno(), output, *descriptors]
        try:
            with theirs, self._lock:
                socket.send_fds(self._socket, [job.to_bytes()], fds)
        except OSError as error:  # it has ended, is silent, or another thread has given it up: a closed socket
            control.close()
            raise ParentDied(f"{error}; its last words: {self.last_words()}") from error
        control.settimeout(FORK_CAP)
        hello = self._receive(control)
        if not hello:
            control.close()
            raise ParentDied(f"no process for the genome; last words: {self.last_words()}")
        control.settimeout(None)
        said = json.loads(hello)
        if "fault" in said:
            control.close()
            raise HarnessFault(f"The sandbox '{job.sandbox}' cannot be made here: {said['fault']}")
        return Supervised(control, **said)

    @staticmethod
    def _receive(end: socket.socket) -> bytes:
        """One message; empty where the other side is gone, or silent for too long."""
        try:
            return end.recv(MAX_MESSAGE)
        except (ConnectionResetError, TimeoutError):
            return b""

    def finish(self) -> None:
        """Let it end what its supervisors left, then itself. One that is stopped would outlive this process: killed."""
        self._socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_CAP)
        self.close()

    def close(self) -> None:
        """End the process. Genomes that run already are not touched: their supervisors look after them."""
        self._process.kill()
        self._process.wait()
        with self._lock:
            self._socket.close()
            if not self._log.closed:
                self._words = self._read_words()
                self._log.close()


class WarmParents:
    """The warm parents of this process, one for each set of modules and environment, started when needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._parents: dict[Any, WarmParent] = {}

    @property
    def pids(self) -> list[int]:
        with self._lock:
            return [parent.pid for parent in self._parents.values()]

    def get(self, preload: tuple[str, ...], environment: dict[str, str]) -> WarmParent:
        with self._lock:
            key = _key(preload, environment)
            if key not in self._parents:
                self._parents[key] = WarmParent(preload, environment)
            return self._parents[key]

    def launch(
        self,
        preload: tuple[str, ...],
        environment: dict[str, str],
        job: Job,
        output: int,
        descriptors: Sequence[int],
    ) -> Supervised:
        """Run a job; a warm parent that has died is replaced. Raises HarnessFault when that does not help."""
        failures = []
        for _ in range(ATTEMPTS):
            parent = self.get(preload, environment)
            try:
                return parent.launch(job, output, descriptors)
            except ParentDied as error:
                failures.append(str(error))
                self._discard(preload, environment, parent)
        raise HarnessFault(f"A genome's process could not be started: {'; then: '.join(failures)}")

    def close(self) -> None:
        """End all of them, when none of their genomes runs any more."""
        with self._lock:
            for parent in self._parents.values():
                parent.finish()
            self._parents.clear()

    def _discard(self, preload: tuple[str, ...], environment: dict[str, str], parent: WarmParent) -> None:
        with self._lock:
            # Another thread may have replaced it already.
            if self._parents.get(_key(preload, environment)) is parent:
                del self._parents[_key(preload, environment)]
                parent.close()


def _key(preload: tuple[str, ...], environment: dict[str, str]) -> tuple[object, ...]:
    return (os.getpid(), preload, tuple(sorted(environment.items())))
