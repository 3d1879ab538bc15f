"""A trial on a GPU that nobody else uses: waited for before, watched during, and marked where it was disturbed."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evolve.errors import UserError
from evolve.evaluation import gpu, heartbeat
from evolve.evaluation.executors import current_slot, stop_requested
from evolve.evaluation.trial import CANCEL_FILE, Cancelled, Trial
from evolve.evaluation.worker import run_trial
from evolve.individual import Outcome, Status

# What may have come of the disturbance itself; a crash or a breach of contract has not.
DOUBTFUL = (Status.OK, Status.RACED, Status.TIMED_OUT, Status.OUT_OF_MEMORY)
SETTLE = 15.0  # seconds for a trial's memory to be given back, before anybody else is blamed for it
PATIENCE = 1800.0  # seconds to wait for a GPU that somebody else uses
LOOK = 5.0  # seconds between looks
SLOWED_SHARE = 0.05  # of the samples of a box: with more, the run was throttled


def run_undisturbed(trial: Trial) -> Outcome:
    """As `run_trial`, in a slot with a GPU alone on that. Raises what `run_trial` does."""
    name = current_slot().gpu
    if name is None:
        return run_trial(trial)
    wait_until_free(name, trial)
    with gpu.Sampler(name) as sampler:
        outcome = run_trial(trial)
    return judged(outcome, sampler.samples, _others(name))


def _others(name: str) -> str:
    """Who uses the GPU after a trial: its own memory is given back a little after its processes are gone."""
    started = time.monotonic()
    while (who := gpu.users(name)) and time.monotonic() - started < SETTLE:
        time.sleep(0.5)
    return who


def wait_until_free(name: str, trial: Trial, patience: float = PATIENCE) -> None:
    """Raises UserError where somebody else goes on using the GPU, Cancelled where the search ends meanwhile."""
    started, unix = time.monotonic(), time.time()
    while who := gpu.users(name):
        waited = time.monotonic() - started
        if stop_requested() or (Path(trial.folder) / CANCEL_FILE).exists():
            shutil.rmtree(trial.folder, ignore_errors=True)
            raise Cancelled("the search ends")
        if waited > patience:
            raise UserError(
                f"GPU {name} is used by {who}, and was for {waited / 60:.0f} min: two runs on one GPU measure each "
                "other. Free it, or leave it out of CUDA_VISIBLE_DEVICES, and run the same command again; what was "
                "evaluated is safe."
            )
        if waited > SETTLE:
            Path(trial.folder).mkdir(parents=True, exist_ok=True)
            waiting = heartbeat.Heartbeat("GPU in use", unix, None, 0.0, 0.0, None, [], 0)
            heartbeat.write(Path(trial.folder), waiting)
        time.sleep(LOOK if waited > SETTLE else 0.5)


def judged(outcome: Outcome, samples: Sequence[gpu.Sample], others: str) -> Outcome:
    """The outcome with its clock, and marked where the GPU was throttled in its box or is not ours alone after it."""
    begin = outcome.started + outcome.seconds.get("startup", 0.0)
    end = begin + outcome.seconds.get("training", 0.0)
    inside = [sample for sample in samples if begin <= sample.unix <= end]
    if inside:
        outcome = replace(outcome, clock_mhz=statistics.median(sample.clock for sample in inside))
    if outcome.status not in DOUBTFUL:
        return outcome
    if others:
        return outcome.disturbed(f"the GPU was used by {others}, too")
    for bit, reason in gpu.SLOWED.items():
        share = sum(bool(sample.reasons & bit) for sample in inside) / max(len(inside), 1)
        if share > SLOWED_SHARE:
            return outcome.disturbed(f"the GPU was throttled in {100 * share:.0f} % of the box ({reason})")
    return outcome
