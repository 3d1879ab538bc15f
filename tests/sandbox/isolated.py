"""One command of the harness's own in a sandbox: run to its end or its limit, its output kept at the two ends."""

# ruff: noqa: PTH123
# This opens a pipe.

from __future__ import annotations

import contextlib
import os
import selectors
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evolve.evaluation.environment import parent_environment, process_environment
from evolve.evaluation.executors import current_slot, stop_requested
from evolve.evaluation.isolation import Isolation, launch
from evolve.evaluation.output import Output
from evolve.evaluation.trial import Cancelled, HarnessFault

POLL = 0.1  # seconds between looks at the clock
FAULT_CAP = 30.0  # seconds after which a tree that does not end is the harness's fault
READ_SIZE = 64 * 1024  # bytes


@dataclass(frozen=True)
class Finished:
    """How a command ended. `code`: -n for signal n; `cap`: what it was ended for ("seconds", "memory", ...) or ""."""

    code: int
    cap: str
    output: str  # standard output and error; what is left out in the middle is said there
    peak_mb: float
    seconds: float


def run_isolated(
    argv: Sequence[str],
    isolation: Isolation,
    *,
    seconds: float,
    preload: tuple[str, ...] = (),
    shared: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    descriptors: Sequence[int] = (),
    output_kb: int = 256,
) -> Finished:
    """Run `argv` in the calling thread's slot; `descriptors` (pipes, memory files) become 3 and on in it.

    With `preload`, `argv` is a Python interpreter, a script and its arguments, and the script runs in a fork of a
    process that has imported these modules: the same one as a trial's, where `preload` and `shared` (variables, of an
    arena) are the same. `environment` is what this command sees beside the usual. At its end, all it started is ended.

    Raises Cancelled where the executor is shut down, UserError where the modules cannot be imported, HarnessFault
    where the sandbox cannot be made or the command cannot be ended.
    """
    (isolation.scratch / "tmp").mkdir(parents=True, exist_ok=True)
    slot = current_slot()
    base = process_environment(slot, shared or {}, isolation.scratch, isolation.device, isolation.mode)
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    try:
        process = launch(
            argv,
            isolation,
            environment={**base, **(environment or {})},
            parent_environment=parent_environment(slot, shared or {}),
            slot=slot,
            output=writing,
            descriptors=descriptors,
            preload=preload,
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    started = time.monotonic()
    output = Output(output_kb * 1000)
    cap, killed = "", 0.0
    with (
        open(reading, "rb", buffering=0) as printed,
        contextlib.closing(process),
        selectors.DefaultSelector() as selector,
    ):
        selector.register(printed, selectors.EVENT_READ)
        selector.register(process.control, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select(POLL)}
            if printed in ready:
                data = printed.read(READ_SIZE)
                output.feed(data or b"")
                if data == b"":
                    selector.unregister(printed)
            if process.control in ready:
                break
            now = time.monotonic()
            if stop_requested():
                raise Cancelled("the executor was shut down")
            if not cap and now > started + seconds:
                cap, killed = "seconds", now
                process.kill()
            elif cap and now > killed + FAULT_CAP:
                raise HarnessFault(f"process {process.genome} and what it started could not be ended")
        ended = process.read_exit()
        while data := printed.read(READ_SIZE):
            output.feed(data)
    if ended is None:
        raise HarnessFault("the process that supervises a command was killed")
    return Finished(ended.code, cap or ended.cap, output.text(), ended.peak_mb, time.monotonic() - started)
