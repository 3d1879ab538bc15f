"""What a person sees while a search runs: one live screen, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections import deque

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from evolve.evaluation import heartbeat
from evolve.evaluation.trial import Trial
from evolve.individual import Individual, Outcome, Status
from evolve.stop import StopSignals
from evolve.summary import duration, verdict
from evolve.work import Work

RECENT = 8


class Watch:
    """The figures both monitors show, kept as trials are launched and told."""

    def __init__(self, evolution: Work, workers: int, stop: StopSignals) -> None:
        self.evolution = evolution
        self.workers = workers
        self.stop = stop
        self.running: dict[tuple[int, int], Trial] = {}  # by individual and replicate
        self.recent: deque[tuple[Individual, Outcome]] = deque(maxlen=RECENT)
        self._busy = 0.0  # seconds of workers' time spent in this session
        self._told = 0

    def launched(self, trial: Trial) -> None:
        self.running[trial.individual, trial.replicate] = trial

    def told(self, individual: Individual, outcome: Outcome) -> None:
        self.running.pop((outcome.individual, outcome.replicate), None)
        self.recent.append((individual, outcome))
        self._busy += outcome.seconds.get("total", 0.0)
        self._told += 1

    def parent_of(self, individual: Individual) -> Individual | None:
        return self.evolution.archive.everyone[individual.parents[0]] if individual.parents else None

    @property
    def time_left(self) -> str:
        """At the pace of this session so far."""
        if not self._told:
            return "unknown until the first outcome"
        seconds = self.evolution.evaluations_left * self._busy / self._told / self.workers
        return "about " + duration(seconds)


class PlainMonitor(Watch):
    """A line an outcome, for logs and pipes."""

    def __init__(self, evolution: Work, workers: int, stop: StopSignals, console: Console) -> None:
        super().__init__(evolution, workers, stop)
        self._console = console
        self._announced = ""

    def __enter__(self) -> PlainMonitor:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def told(self, individual: Individual, outcome: Outcome) -> None:
        super().told(individual, outcome)
        result = verdict(individual, outcome, self.parent_of(individual))
        line = f"{time.strftime('%H:%M:%S')}  {individual.name}  {result}  {individual.idea}"
        self._print(f"{line}  | {self.evolution.standing}; {self.time_left} left")

    def tick(self) -> None:
        if self.stop.reason != self._announced:
            self._announced = self.stop.reason
            self._print(self._announced)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class LiveMonitor(Watch):
    """One screen that stays: slots, standing, recent outcomes, time left."""

    def __init__(self, evolution: Work, workers: int, stop: StopSignals, console: Console) -> None:
        super().__init__(evolution, workers, stop)
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> LiveMonitor:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def tick(self) -> None:
        self._live.update(Group(self._slots(), self._outcomes(), self._footer()), refresh=True)

    def _slots(self) -> Table:
        table = Table(title="Running", title_justify="left", expand=True, box=None, pad_edge=False)
        for name, ratio in (("id", 1), ("box", 4), ("", 3), ("loss", 2), ("idea", 12)):
            table.add_column(name, ratio=ratio, no_wrap=True, overflow="ellipsis")
        for trial in self.running.values():
            individual = self.evolution.archive.everyone[trial.individual]
            beat = heartbeat.read(trial.folder)
            elapsed = min(beat.elapsed, trial.time_box) if beat else 0.0
            phase = beat.phase if beat else "starting"
            clock = f"{elapsed:.1f}/{trial.time_box:g} s" if phase == "training" else phase
            loss = beat.loss if beat else None
            table.add_row(
                individual.name,
                ProgressBar(total=trial.time_box, completed=elapsed),
                clock,
                "" if loss is None else f"{loss:.3f}",
                Text(individual.idea),
            )
        return table

    def _outcomes(self) -> Table:
        table = Table(title="Recent", title_justify="left", expand=True, box=None, pad_edge=False)
        for name, ratio in (("id", 1), ("outcome", 7), ("idea", 14)):
            table.add_column(name, ratio=ratio, no_wrap=True, overflow="ellipsis")
        for individual, outcome in reversed(self.recent):
            style = "red" if outcome.status is not Status.OK else "green" if self._is_best(individual) else ""
            result = verdict(individual, outcome, self.parent_of(individual))
            table.add_row(individual.name, Text(result, style), Text(individual.idea))
        return table

    def _is_best(self, individual: Individual) -> bool:
        return individual is self.evolution.best

    def _footer(self) -> Text:
        footer = Text(f"{self.evolution.standing}\n{self.time_left} left", style="bold")
        return footer.append(f"\n{self.stop.reason}", "yellow") if self.stop.reason else footer
