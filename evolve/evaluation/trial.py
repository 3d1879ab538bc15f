"""One trial as plain data: what to run, with which seed, in which box, under which caps; calling it off."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from evolve.errors import UserError
from evolve.sandbox.confinement import Mode

CANCEL_FILE = "cancel"  # inside a trial's folder
RACED = "raced"  # first word of a cancel file whose trial is to be recorded as raced


class HarnessFault(RuntimeError):  # noqa: N818
    """The machinery around a genome failed, not the genome: no outcome can be given for this trial."""


class Cancelled(Exception):  # noqa: N818
    """The trial was called off (the engine stops at once): there is no outcome to record."""


@dataclass(frozen=True)
class Trial:
    """One evaluation to run: the unit of work that an executor carries to a worker, picklable.

    Times are seconds, memory is MB (10^6 bytes). `folder` is the trial's own: the worker creates it and
    removes it. Inside lie `scratch/` with the script, `heartbeat` and, when it is called off, `cancel`.
    A non-empty `preload` runs the script in a fork of a process that has imported those modules; then
    `command` must begin with `{python} {script}`.

    Raises UserError where the fields contradict each other.
    """

    individual: int
    replicate: int
    seed: int
    source: str
    script: str  # file name, no folder
    folder: str
    command: tuple[str, ...] = ("{python}", "{script}")
    preload: tuple[str, ...] = ()
    score: str = "harness"
    metric: str = "val_bpb"
    time_box: float = 5.0
    startup: float = 60.0
    grace: float = 2.0
    scoring: float = 60.0
    memory_mb: int = 4000
    scratch_mb: int = 4000  # what it may store; also the size of its largest file
    output_kb: int = 256
    environment: dict[str, str] = field(default_factory=dict)
    device: str = "cpu"
    opening: tuple[str, ...] = ()  # files whose descriptors the genome gets when its clock opens
    closing: tuple[str, ...] = ()  # and when it is closed
    startup_cpu: float = math.inf  # CPU seconds before the clock opens
    scorer: str = ""  # module that scores a trained model again, in other processes; empty: no score is computed again
    bar: float | None = None  # the worst score that is computed again; None: none is
    higher_is_better: bool = False
    compiled: str = ""  # folder of compiled code that the runs of an archive share; empty: they share none
    fills_cache: bool = False  # this run of the seed genome makes that folder
    splits: tuple[str, ...] = ("search",)  # of the validation tokens, to be scored on; the first gives the metric
    sandbox: str = "none"  # a `Mode` that works on this machine: see evolve.sandbox.probe
    readable: tuple[str, ...] = ()  # what the genome sees beside the system, Python and its scratch folder
    hidden: tuple[str, ...] = ()  # what it must not see, though it lies under something that it sees

    def __post_init__(self) -> None:
        if not self.command:
            raise UserError("An arena's command is empty: it says how a genome is run.")
        if self.preload and self.command[:2] != ("{python}", "{script}"):
            raise UserError(
                "Modules can be preloaded only where the command begins with {python} {script}: "
                f"drop `preload`, or change the command {list(self.command)}."
            )
        if self.score not in ("harness", "printed"):
            raise UserError(f"score = '{self.score}' must be 'harness' or 'printed'.")
        if self.sandbox not in list(Mode):
            raise UserError(f"sandbox = '{self.sandbox}' must be one of {', '.join(Mode)}.")
        path = Path(self.script)
        if path.name != self.script or self.script in ("", ".", ".."):
            raise UserError(f"The script '{self.script}' must be a file name without a folder.")
        if path.suffix == ".py" and path.stem in {*sys.stdlib_module_names, *self.preload}:
            raise UserError(f"The script '{self.script}' hides the module '{path.stem}': give it another name.")

    @property
    def scratch(self) -> Path:
        """The genome's working folder, its home, and the only place it should write to."""
        return Path(self.folder) / "scratch"

    @property
    def overall_cap(self) -> float:
        """Seconds that a script without a report may take from start to exit."""
        return self.startup + self.time_box + self.grace + self.scoring

    def rescores(self, score: float | None) -> bool:
        """Whether a run that ended with this score is scored again before it counts."""
        if score is None or self.bar is None or not self.scorer:
            return False
        return score >= self.bar if self.higher_is_better else score <= self.bar

    def always_rescored(self) -> Trial:
        """The same trial, whose model is scored again however it scores."""
        return replace(self, bar=-math.inf if self.higher_is_better else math.inf)


def cancel(folder: str | os.PathLike[str], why: str) -> bool:
    """Call off the trial that runs in `folder`; False where none does.

    `why` beginning with the word `raced` gives an outcome with that reason; anything else gives none
    (`run_trial` raises Cancelled).
    """
    draft = Path(folder) / f"{CANCEL_FILE}.draft"
    try:
        draft.write_text(why, encoding="utf-8")
        draft.replace(draft.with_name(CANCEL_FILE))
    except FileNotFoundError:  # the trial has ended, perhaps while this was written
        return False
    return True
