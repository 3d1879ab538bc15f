"""From what was seen of a trial to its Outcome: the one place that decides how an evaluation ended."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, field, replace
from typing import Any

from evolve.evaluation.launcher import Exit
from evolve.evaluation.output import Output
from evolve.evaluation.printed import read_summary
from evolve.evaluation.report import Report
from evolve.evaluation.supervisor import MAX_PROCESSES, MAX_THREADS
from evolve.evaluation.trial import Trial
from evolve.individual import Outcome, Status

CLOCK_TOLERANCE = 1.0  # seconds; the harness reads events a little after they are written
CLOCK_TOLERANCE_SHARE = 0.05  # of the harness's own measure
CPU_TOLERANCE = 0.3  # seconds a core, beyond CLOCK_TOLERANCE_SHARE: the kernel counts in ticks
IMPORTS = 20.0  # seconds of the CPU, for a process that has to import torch itself
OVERTIME = 0.25  # seconds a core, and 5 % of the box, that may be worked on after the last step
AGREEMENT = 1e-3  # of a score: what two computations of the same model may differ by, half precision on a GPU included
_NO_MEMORY = re.compile(r"\bMemoryError\b|OutOfMemoryError|out of memory|DefaultCPUAllocator", re.IGNORECASE)
_LAST_LINES = 10  # where an exception's name is looked for


@dataclass(frozen=True)
class Ending:
    """What the harness saw of a trial. Clock readings are seconds of one clock; `unix` is Unix time."""

    report: Report
    output: Output
    stop: tuple[Status, str] | None  # why the harness ended it
    exit: Exit | None  # None: its supervisor was killed
    unix: float
    started: float
    ended: float
    cpu: dict[str, float] = field(default_factory=dict)  # seconds used by all its processes at `open` and `close`
    cores: int = 1  # that it had for itself
    forked: bool = True  # from a process that had imported its modules


def outcome(trial: Trial, ending: Ending) -> Outcome:
    """The outcome of a trial that ran. A score needs a clean exit; only an OK outcome has one."""
    measured = _printed(trial, ending) if trial.score == "printed" else _reported(trial, ending)
    failure = _failure(trial, ending, measured["score"])
    if failure is not None:
        measured["score"] = measured["locked"] = None
    status, reason = failure or (Status.OK, "")
    return Outcome(
        status=status,
        reason=reason[:1000],
        individual=trial.individual,
        replicate=trial.replicate,
        seed=trial.seed,
        started=ending.unix,
        tail="\n".join(ending.output.lines()),
        trusted=trial.score == "harness",
        **measured,
    )


def _failure(trial: Trial, ending: Ending, score: float | None) -> tuple[Status, str] | None:
    """Why the trial has no score to be believed, in order of what outweighs what; None where it has one."""
    report = ending.report
    if report.violation:
        return Status.CHEATED, report.violation
    if report.malformed:
        return Status.CHEATED, f"wrote to the harness's own pipe: {report.malformed}"
    if ending.stop is not None:
        return ending.stop
    return _bad_exit(trial, ending) or _no_score(trial, ending, score) or _wrong_clock(trial, ending)


def _bad_exit(trial: Trial, ending: Ending) -> tuple[Status, str] | None:
    if ending.exit is None:
        return Status.CRASHED, "the process that supervises it was killed"
    code, cap = ending.exit.code, ending.exit.cap
    if cap == "memory":
        return Status.OUT_OF_MEMORY, f"passed its cap of {trial.memory_mb} MB of resident memory"
    if cap == "processes":
        return Status.CRASHED, f"started more than {MAX_PROCESSES} processes"
    if cap == "threads":
        return Status.CRASHED, f"started more than {MAX_THREADS} threads"
    if cap == "scratch":
        return Status.CRASHED, f"stored more than {trial.scratch_mb} MB, or where it cannot be measured"
    if code == 0:
        return None
    last = ending.output.lines(_LAST_LINES)
    if code == -signal.SIGKILL:
        how = "was ended by SIGKILL, not by the harness: often the kernel, for want of memory"
    elif code < 0:
        names = {number.value: number.name for number in signal.Signals}  # not all: real-time signals have none
        how = f"was ended by {names.get(-code, f'signal {-code}')}"
    else:
        how = f"ended with code {code}"
    out_of_memory = any(_NO_MEMORY.search(line) for line in last)
    return (
        Status.OUT_OF_MEMORY if out_of_memory else Status.CRASHED,
        f"{how}: {last[-1]}" if last else f"{how} and printed nothing",
    )


def _no_score(trial: Trial, ending: Ending, score: float | None) -> tuple[Status, str] | None:
    if score is not None:
        return None
    if trial.score == "printed":
        return Status.CRASHED, f"printed no line '{trial.metric}: NUMBER' with a finite number"
    if ending.report.finished:
        return Status.CRASHED, f"its {trial.metric} is not a finite number"
    return Status.CRASHED, f"ended without a result, while in its {ending.report.phase.value} phase"


def _wrong_clock(trial: Trial, ending: Ending) -> tuple[Status, str] | None:
    """Whether it trained longer than its box, or elsewhere than inside of it.

    A genome that reports another training time than passed has meddled with its clock. CPU time is the kernel's
    account and stands still while another process has the core: on the CPU it shows what a slow clock hides.
    """
    report = ending.report
    if report.opened is None or report.closed is None:
        return None
    own, claimed = report.closed - report.opened, report.training_seconds
    if abs(claimed - own) > CLOCK_TOLERANCE + CLOCK_TOLERANCE_SHARE * own:
        return Status.CHEATED, f"claims {claimed:.2f} s of training, where {own:.2f} s passed"
    if claimed > trial.time_box + trial.grace:
        return Status.TIMED_OUT, f"trained {claimed:.2f} s in a box of {trial.time_box:g} s"
    cpu_opened, cpu_closed = ending.cpu.get("open", 0.0), ending.cpu.get("close", 0.0)
    allowed = trial.startup_cpu + (0.0 if ending.forked else IMPORTS)
    if cpu_opened > allowed:
        return (
            Status.TIMED_OUT,
            f"used {cpu_opened:.2f} s of the CPU before its clock opened, where {allowed:g} s are allowed",
        )
    possible = ending.cores * (claimed * (1 + CLOCK_TOLERANCE_SHARE) + CPU_TOLERANCE)
    if cpu_closed - cpu_opened > possible:
        return (
            Status.CHEATED,
            f"used {cpu_closed - cpu_opened:.2f} s of the CPU in {claimed:.2f} s of training on {ending.cores} cores",
        )
    overtime = ending.cores * (OVERTIME + CLOCK_TOLERANCE_SHARE * trial.time_box)
    if claimed > trial.time_box + overtime and report.last_step > 2 * report.longest_step + overtime:
        return (
            Status.TIMED_OUT,
            f"went on for {report.last_step:.2f} s after it asked for its last batch, where its steps take at most "
            f"{report.longest_step:.2f} s",
        )
    return None


def rescored(first: Outcome, own: Ending, again: Ending | None) -> Outcome:
    """The outcome of a run whose model was scored again; `again` is None where it was not handed over.

    The second score counts. Where it does not agree with the run's own, or cannot be had, the run has none.
    """
    if again is None:
        return _failed(first, Status.CHEATED, "reported a score and did not hand over the model that has it")
    report = again.report
    seconds = {**first.seconds, "again": again.ended - again.started}
    first = replace(first, seconds=seconds | {"total": again.ended - own.started})
    if report.violation:
        return _failed(first, Status.CHEATED, f"scored again by itself: {report.violation}")
    if again.stop is not None:
        return _failed(first, again.stop[0], f"scored again by itself: {again.stop[1]}")
    if report.score is None or again.exit is None or again.exit.code != 0:
        last = again.output.lines(1)
        return _failed(first, Status.CRASHED, f"could not be scored again: {last[-1] if last else 'it gave no score'}")
    if report.state != own.report.state:
        return _failed(first, Status.CHEATED, "handed over another model than it had when its clock was closed")
    assert first.score is not None
    if abs(report.score - first.score) > AGREEMENT * abs(first.score):
        reason = f"reported {first.score:.6f}, and its model, scored again by itself, has {report.score:.6f}"
        return _failed(first, Status.CHEATED, reason)
    return replace(first, score=report.score, locked=report.locked, verified=report.model, reported=first.score)


def _failed(outcome: Outcome, status: Status, reason: str) -> Outcome:
    return replace(outcome, status=status, score=None, locked=None, reason=reason[:1000])


def _reported(trial: Trial, ending: Ending) -> dict[str, Any]:
    report = ending.report
    seconds = {"startup": (ending.ended if report.opened is None else report.opened) - ending.started}
    if report.opened is not None:
        seconds["training"] = (ending.ended if report.closed is None else report.closed) - report.opened
        seconds["startup_cpu"] = ending.cpu.get("open", 0.0)
    if report.closed is not None:
        seconds["scoring"] = ending.ended - report.closed
        seconds["training_cpu"] = ending.cpu.get("close", 0.0) - ending.cpu.get("open", 0.0)
    return {
        "score": report.score,
        "locked": report.locked,
        "seconds": seconds | {"total": ending.ended - ending.started},
        "steps": report.steps,
        "tokens": report.tokens,
        "parameters": report.parameters,
        # On a GPU only the genome's process knows; main memory the harness has measured itself.
        "peak_memory_mb": _resident(ending) if trial.device == "cpu" else report.peak_memory_mb,
        "device": report.device or trial.device,
        "corpus": report.corpus,
        "constants": report.constants,
        "curve": report.curve,
    }


def _printed(trial: Trial, ending: Ending) -> dict[str, Any]:
    summary = read_summary(ending.output.text(), trial.metric)
    seconds = {} if summary.training_seconds is None else {"training": summary.training_seconds}
    return {
        "score": summary.score,
        "seconds": seconds | {"total": ending.ended - ending.started},
        "steps": summary.steps,
        "tokens": summary.tokens,
        "parameters": summary.parameters,
        "peak_memory_mb": _resident(ending) if trial.device == "cpu" else summary.peak_memory_mb,
        "device": trial.device,
    }


def _resident(ending: Ending) -> float | None:
    return None if ending.exit is None else ending.exit.peak_mb
