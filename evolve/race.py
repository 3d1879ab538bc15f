"""Racing in a search: finished curves in, verdicts on running trials out, and a count of its own mistakes."""

from __future__ import annotations

import difflib
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evolve.archive.repository import Archive
from evolve.arena import Direction
from evolve.evaluation.racing import CHECKPOINTS, Curve, FinishedCurve, RacingRule, false_stop_rate
from evolve.evaluation.trial import RACED
from evolve.individual import Individual, Outcome, Status

BOUND = 0.01  # on the share of would-be entrants to the population that are stopped
LET_THROUGH = 0.08  # of the runs that would be stopped
MOST_CURVES = 300  # the latest, that the rule is calibrated on: bounds its cost

ReadCurve = Callable[[Individual, int], Curve]  # of an individual's outcome with that place in `outcomes`


@dataclass(frozen=True)
class Record:
    """How racing has done. `rate` is NaN while nothing has entered the population."""

    raced: int
    saved: float  # boxes
    let_through: int
    rate: float  # estimated share of would-be entrants that were stopped

    def __str__(self) -> str:
        text = f"{self.raced} stopped early, {self.saved:.1f} boxes saved; "
        if not self.let_through or math.isnan(self.rate):
            return text + "the rate of mistakes is not known yet, because none was let through"
        return text + (
            f"of the runs that would have entered the population an estimated {100 * self.rate:.1f} % were stopped "
            f"(measured on {self.let_through} let through)"
        )


def race_of(archive: Archive, schedule: Sequence[str], let_through: float = LET_THROUGH) -> Race:
    """Racing on an archive: its metric, seed, time box, genomes and curves. It has taken no outcome yet."""
    state = archive.read_state()
    return Race(
        Direction(state["direction"]),
        seed=state["seed"],
        time_box=float(state["time_box"]),
        read_curve=lambda individual, place: archive.curves(individual)[place]["curve"],
        genome_of=lambda id: archive.individuals[id].genome,
        schedule=schedule,
        let_through=let_through,
    )


class Race:
    """Judges running trials by a rule calibrated on the archive; see `evolve.evaluation.racing`."""

    def __init__(
        self,
        direction: Direction,
        *,
        seed: int,
        time_box: float,
        read_curve: ReadCurve,
        genome_of: Callable[[int], str],
        schedule: Sequence[str] = (),
        let_through: float = LET_THROUGH,
    ) -> None:
        """`schedule`: what names of the genome's schedule contain; `seed` draws who is let through."""
        self._direction = direction
        self._seed = seed
        self._time_box = time_box
        self._read_curve = read_curve
        self._genome_of = genome_of
        self._schedule = tuple(schedule)
        self._let_through = let_through
        self._through: dict[int, float] = {}  # running individuals that go on though behind, and since when
        self._judged: dict[int, int] = {}  # checkpoints that a running individual has passed
        self._recent: deque[tuple[Individual, int]] = deque(maxlen=MOST_CURVES)
        self._curves: dict[int, FinishedCurve] = {}  # of `_recent`, by individual
        self._leads: dict[int, float] = {}  # over the cut, of those in `_recent` whose curves were not read yet
        self._results: list[FinishedCurve] = []  # of all that finished, without their curves
        self._rule: RacingRule | None = None
        self._raced = 0
        self._saved = 0.0

    def judge(self, individual: Individual, curve: Curve, cut: float) -> str | None:
        """Why to stop a running individual, as `trial.cancel` wants it; None where it goes on.

        `cut` is the score that enters the population, infinite while there is room.
        """
        progress = curve[-1][0] if curve else 0.0
        passed = sum(checkpoint <= progress for checkpoint in CHECKPOINTS)
        if passed <= self._judged.get(individual.id, 0):
            return None
        self._judged[individual.id] = passed
        verdict = self._calibrated().judge(
            curve, cut, seed=self._seed, individual=individual.id, touches_schedule=self.touches_schedule(individual)
        )
        if verdict.losing and not verdict.stop:
            self._through.setdefault(individual.id, verdict.progress)
        if not verdict.stop:
            return None
        return f"{RACED}: at {100 * verdict.progress:.0f} % of the box, {verdict.behind:.1f} margins behind"

    def let_through_at(self, individual: Individual) -> float | None:
        """The share of the box at which a running individual would have been stopped, had it not been let through."""
        return self._through.get(individual.id)

    def take(self, individual: Individual, outcome: Outcome, cut: float = math.inf) -> None:
        """One more outcome, archived already; only an offspring's first run counts. `cut`: as it was before."""
        if outcome.replicate or not individual.parents:
            return
        self._through.pop(individual.id, None)
        self._judged.pop(individual.id, None)
        if outcome.status is Status.RACED:
            self._raced += 1
            self._saved += max(0.0, 1.0 - outcome.seconds.get("training", 0.0) / self._time_box)
        if outcome.score is None:
            return
        sign = 1.0 if self._direction is Direction.MIN else -1.0
        self._leads[individual.id] = sign * (cut - outcome.score)
        result = FinishedCurve((), outcome.score, outcome.entered, let_through_at=outcome.let_through_at)
        self._results.append(result)
        if len(self._recent) == MOST_CURVES:
            self._curves.pop(self._recent[0][0].id, None)
            self._leads.pop(self._recent[0][0].id, None)
        place = next(place for place, one in enumerate(individual.outcomes) if one.replicate == 0 and one.counts)
        self._recent.append((individual, place))
        self._rule = None

    @property
    def record(self) -> Record:
        rate, through = false_stop_rate(self._results, self._let_through)
        return Record(self._raced, self._saved, through, rate)

    def _calibrated(self) -> RacingRule:
        if self._rule is None:
            for individual, place in self._recent:
                if individual.id not in self._curves:
                    outcome = individual.outcomes[place]
                    assert outcome.score is not None
                    curve, touched = self._read_curve(individual, place), self.touches_schedule(individual)
                    self._curves[individual.id] = FinishedCurve(
                        curve, outcome.score, outcome.entered, touched, lead=self._leads.pop(individual.id)
                    )
            finished = list(self._curves.values())
            self._rule = RacingRule(finished, self._direction, bound=BOUND, let_through=self._let_through)
        return self._rule

    def touches_schedule(self, individual: Individual) -> bool:
        """Whether a line by which it differs from its first parent names a part of the schedule."""
        if not individual.parents or not self._schedule:
            return False
        before = self._genome_of(individual.parents[0]).splitlines()
        changed = difflib.unified_diff(before, individual.genome.splitlines(), n=0, lineterm="")
        lines = [line for line in changed if line[:1] in "+-" and line[:3] not in ("+++", "---")]
        return any(name in line for line in lines for name in self._schedule)
