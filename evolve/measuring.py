"""Runs chosen evaluations of an archive's individuals and records them: no births, no selection."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from deap import base
from rich.console import Console

from evolve import arena as arenas
from evolve.archive.repository import Archive
from evolve.arena import Arena
from evolve.confirmation import Pair
from evolve.engine import search
from evolve.evaluation.executors import LocalExecutor, Slot, slots_on
from evolve.evaluation.racing import Curve
from evolve.evaluation.trial import Trial
from evolve.evaluation.worker import run_trial
from evolve.individual import Individual, Outcome
from evolve.monitor import LiveMonitor, PlainMonitor
from evolve.race import Race
from evolve.run import Data, TrialMaker, explained_faults, prepare, require_corpus
from evolve.rundir import EngineLock, RunDirectory
from evolve.stop import StopSignals


class Runs:
    """A list of evaluations, in the order in which they are to begin; the outcomes go to the archive."""

    def __init__(
        self,
        archive: Archive,
        evaluate: Callable[[Trial], Outcome],
        make_trial: Callable[[Individual, int], Trial],
        pairs: Sequence[Pair],
    ) -> None:
        self.archive = archive
        self.toolbox = base.Toolbox()
        self.toolbox.register("evaluate", evaluate)
        self.racing: Race | None = None
        self.best: Individual | None = None
        self._make_trial = make_trial
        self._waiting = deque(pairs)
        self._running: set[Pair] = set()
        self._planned = len(pairs)

    @property
    def stuck(self) -> bool:
        return False

    @property
    def evaluations_left(self) -> int:
        return len(self._waiting) + len(self._running)

    @property
    def standing(self) -> str:
        return f"{self._planned - self.evaluations_left} of {self._planned} runs"

    def ask(self) -> Trial | None:
        """The next trial to run; None where there is none left."""
        if not self._waiting:
            return None
        pair = self._waiting.popleft()
        self._running.add(pair)
        individual, replicate = pair
        return self._make_trial(self.archive.everyone[individual], replicate)

    def tell(self, outcome: Outcome) -> Individual:
        """Archive an outcome."""
        individual = self.archive.everyone[outcome.individual]
        self.archive.record(individual, outcome)
        self._running.discard((outcome.individual, outcome.replicate))
        return individual

    def forget(self, trial: Trial) -> None:
        """A trial was cancelled: it is to be run again."""
        pair = (trial.individual, trial.replicate)
        self._running.discard(pair)
        self._waiting.appendleft(pair)

    def race(self, trial: Trial, curve: Curve) -> str | None:
        return None

    def prepare(self) -> None: ...


@dataclass
class Workplace:
    """A run whose archive is open to write, and all that trials of its individuals need.

    with Workplace.open("runs/gpt_cpu") as place:
        result = replay(place, "champion")
    """

    archive: Archive
    arena: Arena
    data: Data
    directory: RunDirectory
    slots: Sequence[Slot]
    console: Console
    evaluate: Callable[[Trial], Outcome] = run_trial
    stopped: bool = False  # the user ended it: nothing more is started

    @classmethod
    @contextmanager
    def open(
        cls, run: str, *, arena: str | None = None, workers: int | None = None, console: Console | None = None
    ) -> Iterator[Workplace]:
        """Open a run as its only engine. `arena`: its folder, where that was moved since the search.

        Raises UserError where that is impossible, or where a trial or the disk fails later.
        """
        directory = RunDirectory.find(run)
        with (
            explained_faults(directory),
            EngineLock(directory),
            Archive.open(directory.archive, write=True) as archive,
        ):
            state = archive.read_state()
            found = arenas.of_run(state, arena)
            data = prepare(found)
            require_corpus(state["corpus"], data, directory)
            shutil.rmtree(directory.trials, ignore_errors=True)  # left by an engine that was killed
            slots = slots_on(found.device, workers, found.cores)
            yield cls(archive, found, data, directory, slots, console or Console(highlight=False))

    def measure(self, pairs: Sequence[Pair]) -> bool:
        """Run those evaluations that the archive does not have, in this order; False where the user stopped it.

        What is done is kept: the same call goes on where this one ended.
        """
        missing = [pair for pair in dict.fromkeys(pairs) if not self.has(*pair)]
        if not missing or self.stopped:
            return not missing
        runs = Runs(self.archive, self.evaluate, TrialMaker(self.arena, self.data, self.directory), missing)
        monitor_type = LiveMonitor if self.console.is_terminal else PlainMonitor
        workers = len(self.slots)
        with (
            StopSignals() as stop,
            LocalExecutor(list(self.slots)) as executor,
            monitor_type(runs, workers, stop, self.console) as monitor,
        ):
            search(runs, executor, workers, monitor, stop)
        self.stopped = bool(runs.evaluations_left)
        return not self.stopped

    def has(self, individual: int, replicate: int) -> bool:
        """Whether the archive has an outcome of this evaluation."""
        one = self.archive.everyone[individual]
        return any(outcome.replicate == replicate for outcome in [*one.outcomes, *one.studies])
