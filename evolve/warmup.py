"""The seed genome's one run for the compile cache's sake, before anything is measured."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, wait

from evolve.evaluation.trial import Cancelled, Trial
from evolve.individual import Outcome, Status
from evolve.work import Stop

LOOK = 0.25  # seconds between looks at whether the user stops it


def fill_compile_cache(
    trial: Trial, evaluate: Callable[[Trial], Outcome], executor: Executor, stop: Stop, say: Callable[[str], None]
) -> None:
    """Run `trial`, which keeps what it compiles. A failure costs the search no more than time, and is said."""
    say("compiling  the seed genome, once for all runs")
    future = executor.submit(evaluate, trial)
    while not wait([future], timeout=LOOK).done:
        if stop.now:
            executor.shutdown(wait=False, cancel_futures=True)
    try:
        outcome = future.result()
    except (Cancelled, CancelledError):
        return
    if outcome.status is not Status.OK:
        say(f"compiling  failed ({outcome.status}: {outcome.reason}): every run compiles for itself")
