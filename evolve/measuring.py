"""Runs chosen evaluations of an archive's individuals and records them: no births, no selection."""

from __future__ import annotations

import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from deap import base
from rich.console import Console

from evolve import arena as arenas
from evolve.archive.repository import Archive
from evolve.arena import Arena
from evolve.confirmation import Pair
from evolve.disturbance import Disturbance
from evolve.engine import RERUNS, search
from evolve.evaluation.executors import LocalExecutor, Slot, hardware, slots_on
from evolve.evaluation.racing import Curve
from evolve.evaluation.trial import Trial
from evolve.evaluation.worker import run_trial
from evolve.individual import STUDY, Individual, Outcome
from evolve.monitor import LiveMonitor, PlainMonitor
from evolve.race import Race
from evolve.run import OUTSIDE_BOX, explained_faults, recovery_lines
from evolve.rundir import EngineLock, RunDirectory
from evolve.stop import StopSignals
from evolve.summary import duration
from evolve.trials import Data, TrialMaker, prepare, require_corpus


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
        self._disturbance = Disturbance()
        for _, outcome in [*archive.in_order(), *archive.studies()]:
            self._disturbance.take(outcome)
        self._again: Counter[Pair] = Counter()  # how often each was disturbed
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
        trial = self._make_trial(self.archive.everyone[individual], replicate)
        return trial if replicate >= STUDY else trial.always_rescored()

    def tell(self, outcome: Outcome) -> tuple[Individual, Outcome]:
        """Archive an outcome, and run it again, a few times, where it was disturbed; returns it as it was archived."""
        individual, pair = self.archive.everyone[outcome.individual], (outcome.individual, outcome.replicate)
        outcome = self._disturbance.judge(outcome)
        self._disturbance.take(outcome)
        self.archive.record(individual, outcome)
        self._running.discard(pair)
        if not outcome.counts:
            self._again[pair] += 1
            if self._again[pair] <= RERUNS:
                self._waiting.appendleft(pair)
        return individual, outcome

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
    exit_code: int = 0  # as of a search: 130 where trials were ended before their time

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
            place = cls(archive, found, data, directory, slots, console or Console(highlight=False))
            for line in recovery_lines(archive):
                place.console.print(line, markup=False, soft_wrap=True)
            machine = state.get("machine") or "unknown"
            if machine != hardware(slots):
                place.console.print(
                    f"The search ran on another machine ({machine}): compare gains, not scores, with those to come.",
                    markup=False,
                    soft_wrap=True,
                )
            yield place

    @property
    def make_trial(self) -> TrialMaker:
        return TrialMaker(self.arena, self.data, self.directory)

    def measure(self, pairs: Sequence[Pair]) -> bool:
        """Run those evaluations that the archive does not have, in this order; False where some are missing still.

        They are where the user stopped it, or the machine did not leave them alone. What is done is kept: the same
        call goes on where this one ended.
        """
        missing = [pair for pair in dict.fromkeys(pairs) if not self.has(*pair)]
        if not missing or self.stopped:
            return not missing
        runs = Runs(self.archive, self.evaluate, self.make_trial, missing)
        monitor_type = LiveMonitor if self.console.is_terminal else PlainMonitor
        workers = len(self.slots)
        self._announce(missing, len(set(pairs)) - len(missing))
        with (
            StopSignals(box=self.arena.time_box) as stop,
            LocalExecutor(list(self.slots)) as executor,
            monitor_type(runs, workers, stop, self.console) as monitor,
        ):
            search(runs, executor, workers, monitor, stop)
        self.stopped = bool(runs.evaluations_left)
        self.exit_code = self.exit_code or stop.exit_code
        return all(self.has(*pair) for pair in pairs)

    def _announce(self, pairs: Sequence[Pair], done: int) -> None:
        boxes = (self.archive.everyone[id].time_box or self.arena.time_box for id, _ in pairs)
        about = duration(sum(box + OUTSIDE_BOX for box in boxes) / len(self.slots))
        before = f" ({done} are there already)" if done else ""
        self.console.print(f"{len(pairs)} runs to do{before}: about {about} on {len(self.slots)} workers", markup=False)

    def has(self, individual: int, replicate: int) -> bool:
        """Whether the archive has an outcome of this evaluation that counts."""
        one = self.archive.everyone[individual]
        return replicate in one.done or replicate in one.studied
