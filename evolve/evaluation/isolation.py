"""Starts a process that is not trusted: in a sandbox, supervised, from a warm parent where it wants modules."""

from __future__ import annotations

import atexit
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evolve.evaluation.executors import Slot
from evolve.evaluation.job import Job
from evolve.evaluation.launcher import Supervised, WarmParents
from evolve.sandbox.confinement import Mode
from evolve.sandbox.devices import gpu_devices
from evolve.sandbox.paths import always_readable, program
from evolve.sandbox.probe import probe
from evolve.sandbox.view import View

SHARED_SHARE = 4  # /dev/shm may hold a quarter of the memory's cap
warm_parents = WarmParents()
atexit.register(warm_parents.close)


@dataclass(frozen=True)
class Isolation:
    """What a process may see and use. Memory is MB (10^6 bytes).

    It sees the system's programs, Python, `readable` less `hidden`, and its scratch folder, which alone it can write to
    and which must exist, with a folder `tmp` in it.
    """

    mode: Mode
    scratch: Path
    readable: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    memory_mb: int = 4000
    scratch_mb: int = 4000
    device: str = "cpu"

    def view(self, slot: Slot, command: str, python_path: str) -> View:
        """The same as the sandbox takes it; `command` is the program that is started."""
        return View.make(
            str(self.scratch),
            [*always_readable(python_path), *program(command), *self.readable],
            self.hidden,
            gpu_devices(slot.gpu) if self.device == "cuda" else (),
            max(64, self.memory_mb // SHARED_SHARE),
        )


def is_forked(preload: tuple[str, ...], mode: Mode) -> bool:
    """Whether a process that wants these modules finds them imported, and does not pay for that itself."""
    # Where a fork may not be confined, bubblewrap can still confine what it starts.
    return bool(preload) and not (mode is Mode.BWRAP and probe().fork)


def launch(
    argv: Sequence[str],
    isolation: Isolation,
    *,
    environment: Mapping[str, str],
    parent_environment: Mapping[str, str],
    slot: Slot,
    output: int,
    descriptors: Sequence[int] = (),
    preload: tuple[str, ...] = (),
) -> Supervised:
    """Start `argv`, a Python interpreter and a script where `preload` names modules that a warm parent has imported.

    `output` is a pipe for what it prints; `descriptors` become 3 and on in it. The caller keeps its own copies. Raises
    HarnessFault where it cannot be started, UserError where the modules cannot be imported.
    """
    preload = preload if is_forked(preload, isolation.mode) else ()
    job = Job(
        argv=list(argv[1:] if preload else argv),
        script=argv[1] if preload else None,
        environment=dict(environment),
        cores=list(slot.cores),
        memory_mb=isolation.memory_mb,
        scratch_mb=isolation.scratch_mb,
        sandbox=isolation.mode,
        view=isolation.view(slot, argv[0], environment.get("PYTHONPATH", "")),
    )
    return warm_parents.launch(preload, dict(parent_environment), job, output, descriptors)
