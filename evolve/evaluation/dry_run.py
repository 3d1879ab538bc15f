"""A first look at a genome: does it start, take a step and reach its scoring? It is not scored."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor
from dataclasses import replace

from evolve.evaluation.trial import Cancelled, Trial
from evolve.individual import Outcome, Status

BOX = 0.02  # seconds: the first step is always finished
SCORING = 0.01  # seconds: a genome that has come so far has shown that it runs
TAIL_LINES = 15


class DryRun:
    """Runs genomes in the slots of the search, beside whose trials they queue. May be called from any thread."""

    def __init__(
        self, make_trial: Callable[[str, int], Trial], evaluate: Callable[[Trial], Outcome], executor: Executor
    ) -> None:
        """`make_trial` takes a genome and a number, from which the trial's folder gets its name."""
        self._make_trial = make_trial
        self._evaluate = evaluate
        self._executor = executor
        self._numbers = itertools.count()

    def __call__(self, genome: str) -> str:
        """Why the genome does not run, with its last lines; empty where it does.

        Raises Cancelled where the search ends meanwhile.
        """
        trial = self._make_trial(genome, next(self._numbers))
        # What a step may take is the whole box: a slow one is told by the search itself, not here.
        trial = replace(trial, time_box=BOX, grace=trial.time_box + trial.grace, scoring=SCORING)
        try:
            future = self._executor.submit(self._evaluate, trial)
        except RuntimeError as error:  # how an executor says that it is shut down
            raise Cancelled("the search ends") from error
        try:
            return failure(future.result())
        except CancelledError as error:
            raise Cancelled("the search ends") from error


def failure(outcome: Outcome) -> str:
    """What went wrong before the scoring, for a reader who can mend it."""
    reached_scoring = outcome.status is Status.TIMED_OUT and "scoring" in outcome.seconds
    if outcome.status in (Status.OK, Status.DISTURBED) or reached_scoring:
        return ""
    tail = "\n".join(outcome.tail.splitlines()[-TAIL_LINES:])
    return f"When it was run for one step it {_ENDED[outcome.status]}: {outcome.reason}\n\n{tail}".rstrip()


_ENDED = {
    Status.CRASHED: "crashed",
    Status.TIMED_OUT: "took too long",
    Status.OUT_OF_MEMORY: "ran out of memory",
    Status.RACED: "was stopped",
    Status.REJECTED: "was rejected",
    Status.CHEATED: "broke the contract",
}
