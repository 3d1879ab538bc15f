"""The last steps between a fork and a genome's first line, and its ending as an interpreter does it."""

# ruff: noqa: PTH123
# Plain paths: what runs in every fork is kept small.

from __future__ import annotations

import atexit
import fcntl
import io
import os
import signal
import sys
import tempfile
import threading
import types
from collections.abc import Sequence
from typing import NoReturn

from evolve.evaluation.job import FIRST_FD, Job
from evolve.evaluation.process_tree import die_with_parent
from evolve.sandbox.confinement import Confinement

GO = b"g"
HIGH_FD = 64  # above all that are kept
HIGHEST_FD = 1 << 20
COMMAND_NOT_FOUND = 127  # as a shell says it
FOLDER = __file__.rpartition("/")[0]


def become_genome(
    job: Job,
    supervisor: int,
    confinement: Confinement,
    ready: int,
    wait: int,
    output: int,
    descriptors: Sequence[int],
) -> NoReturn:
    """Turn this fresh fork into the genome's process.

    `ready` is a pipe to the supervisor: it is closed when the process is confined, and says why where it cannot be.
    `wait` says GO when the harness knows of the process: a genome that ended its supervisor before would be started
    twice. It ends without it where the supervisor was killed before.
    `output` is a pipe for what is printed; `descriptors` become 3 and on.
    """
    os.setsid()
    die_with_parent()
    # It may have ended before the line above took effect. From other namespaces, a living one has the number 0.
    if os.getppid() not in (supervisor, 0):
        os._exit(1)
    _prefer_as_memory_victim()
    try:
        confinement.enter()
    except OSError as error:
        os.write(ready, str(error).encode()[:4000])
        os._exit(1)
    os.close(ready)
    if os.read(wait, 1) != GO:
        os._exit(1)
    _keep_only(output, descriptors)
    _reset_signals(executes=job.script is None)
    if job.script is None:
        _execute(job, confinement)
    with InterpreterExit():
        _run_script(job, job.script)
    raise AssertionError("InterpreterExit ends the process")


def _prefer_as_memory_victim() -> None:
    """When the machine runs out of memory, the kernel ends the genome and not the engine."""
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def _keep_only(output: int, descriptors: Sequence[int]) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    # Moved out of the way first: one may have the number that another is to get.
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, HIGH_FD) for fd in (null, output, output, *descriptors)]
    for number, fd in enumerate(high):
        os.dup2(fd, number)
    os.closerange(FIRST_FD + len(descriptors), HIGHEST_FD)


def _reset_signals(*, executes: bool) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL if executes else signal.default_int_handler)
    if executes:  # Python ignores these two, and what is ignored stays so in an executed program
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)


def _execute(job: Job, confinement: Confinement) -> NoReturn:
    argv = confinement.command(job.argv)
    try:
        os.execvpe(argv[0], argv, job.environment)
    except OSError as error:
        os.write(2, f"cannot run {argv[0]}: {error.strerror}\n".encode())
        os._exit(COMMAND_NOT_FOUND)


def _run_script(job: Job, script: str) -> None:
    os.environ.clear()
    os.environ.update(job.environment)
    tempfile.tempdir = None  # an import of the warm parent's may have asked for it, with another answer
    sys.argv = job.argv
    sys.path.insert(0, job.view.scratch)
    # New streams, because those of the warm parent know its log file; by lines, so that the last words of a
    # genome that is killed are not lost in a buffer.
    sys.stdout = sys.__stdout__ = _text_stream(1)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _text_stream(2)  # type: ignore[misc]
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=script, __spec__=None, __cached__=None)
    sys.modules["__main__"] = main
    with open(script, "rb") as file:
        code = compile(file.read(), script, "exec", dont_inherit=True)
    exec(code, main.__dict__)


def _text_stream(fd: int) -> io.TextIOWrapper:
    return open(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


class ProcessEnd:
    """Nothing leaves this block: the process ends with it, after the traceback of what it raised.

    A fork must not unwind into the frames of the process that it was forked from.
    """

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> NoReturn:
        code = 1
        try:
            code = self.end(kind, error, trace)
        finally:
            os._exit(code)

    def end(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> int:
        """Say what was raised; gives the exit code."""
        if kind is None or error is None:
            return 0
        sys.excepthook(kind, error, trace)
        sys.stderr.flush()
        return 1


class InterpreterExit(ProcessEnd):
    """Ends as `python script.py` does: exit code, traceback, threads joined, exit functions, flushing."""

    def end(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> int:
        if isinstance(error, SystemExit):
            code = _exit_code(error)
        else:
            while trace is not None and trace.tb_frame.f_code.co_filename.startswith(FOLDER):
                trace = trace.tb_next  # the frames above the script are of no use to its author
            if error is not None:
                error.__traceback__ = trace
            code = super().end(kind, error, trace)
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        return code


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(error.code, file=sys.stderr)
    return 1
