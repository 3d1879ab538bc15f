"""What the search loop sees to its end, who watches it, and who may end it before."""

from __future__ import annotations

from typing import Protocol

from deap import base

from evolve.archive.repository import Archive
from evolve.evaluation.racing import Curve
from evolve.evaluation.trial import Trial
from evolve.individual import Individual, Outcome
from evolve.race import Race


class Work(Protocol):
    """What `search` sees to its end: an Evolution, or a plain list of evaluations."""

    toolbox: base.Toolbox
    racing: Race | None

    @property
    def archive(self) -> Archive: ...

    @property
    def best(self) -> Individual | None: ...

    @property
    def standing(self) -> str: ...

    @property
    def stuck(self) -> bool: ...

    @property
    def evaluations_left(self) -> int: ...

    def ask(self) -> Trial | None: ...

    def tell(self, outcome: Outcome) -> tuple[Individual, Outcome]: ...

    def forget(self, trial: Trial) -> None: ...

    def race(self, trial: Trial, curve: Curve) -> str | None: ...

    def prepare(self) -> None: ...


class Monitor(Protocol):
    """What watches a search: the live screen, the plain lines, or nothing."""

    def launched(self, trial: Trial) -> None: ...

    def told(self, individual: Individual, outcome: Outcome) -> None: ...

    def tick(self) -> None:
        """Called several times a second while trials run."""


class Stop(Protocol):
    """Whether the user wants the search to end: `drain` starts nothing new, `now` gives up what runs."""

    @property
    def drain(self) -> bool: ...

    @property
    def now(self) -> bool: ...
