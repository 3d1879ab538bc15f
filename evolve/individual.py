"""What the search is made of: Outcome of an evaluation, Fitness, Offspring and Individual."""

from __future__ import annotations

import enum
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from deap import base

from evolve.arena import Direction

CHOICE = 1000  # replicates numbered from here on tell the contenders for the championship apart
FRESH = 2000  # and from here on measure the champion: on another validation split, and no selection sees them
STUDY = 3000  # and from here on belong to operations on a lineage: fresh ones, and the search sees none of them
DERIVED = 10**9  # ids from here on are genomes that such an operation made; no births of the search


class Status(enum.StrEnum):
    """How an evaluation ended. Everything but OK is a failure: archived like any other, never selected."""

    OK = "ok"  # trained for its box and was scored
    CRASHED = "crashed"  # ended by an error, or without a finite score
    TIMED_OUT = "timed_out"  # outstayed its start-up cap, its box and grace, or its scoring cap
    OUT_OF_MEMORY = "out_of_memory"  # could not get memory, or passed the cap
    RACED = "raced"  # stopped early because it was clearly losing
    REJECTED = "rejected"  # never ran
    CHEATED = "cheated"  # broke the genome's contract
    DISTURBED = "disturbed"  # others used its GPU, or that was slower than usual: run again, and no word on the genome


@dataclass(frozen=True)
class Outcome:
    """One evaluation of one genome: what was measured, or why nothing was.

    Times are seconds, memory is MB (10^6 bytes). `score` is the arena's metric (for the GPT arenas
    bits per byte on the search split, of a fresh run on the confirm split) and is there if and only if the
    status is OK.
    """

    status: Status
    score: float | None = None
    locked: float | None = None  # of a fresh run: on the locked split, which is shown once, at the end
    reason: str = ""  # one sentence for a failure
    individual: int = -1
    replicate: int = 0
    seed: int = 0
    # startup, training, scoring, again (a second scoring), total; and of the CPU: startup_cpu, training_cpu
    seconds: dict[str, float] = field(default_factory=dict)
    steps: int | None = None
    tokens: int | None = None
    parameters: int | None = None
    peak_memory_mb: float | None = None
    device: str = ""
    clock_mhz: float | None = None  # median clock of the GPU's processors in the box
    corpus: str = ""  # fingerprint of the data it trained on
    trusted: bool = True  # False: the script printed its own score
    verified: str = ""  # the score was computed again, from the model as a "graph" or by its "code"; empty: it was not
    reported: float | None = None  # then: the score that the run itself gave
    flags: list[str] = field(default_factory=list)  # what the edit touches that a genome has no business with
    started: float = 0.0  # Unix time
    constants: dict[str, Any] = field(default_factory=dict)  # resolved values of the genome's constants
    curve: list[tuple[float, float]] = field(default_factory=list)  # (progress 0..1, training loss)
    entered: bool = False  # its score put it into the population when it arrived
    let_through_at: float | None = None  # share of the box at which racing would have stopped it, but did not
    tail: str = ""  # the last lines it printed

    def __post_init__(self) -> None:
        finite = self.score is not None and math.isfinite(self.score)
        if finite != (self.status is Status.OK) or (self.score is not None and not finite):
            raise ValueError(f"status {self.status} does not go with score {self.score}")

    @property
    def counts(self) -> bool:
        """Whether it says anything of the genome; else the same replicate is run again."""
        return self.status is not Status.DISTURBED

    def disturbed(self, reason: str) -> Outcome:
        """This outcome as one that does not count, its score in the reason alone."""
        scored = "" if self.score is None else f"; it scored {self.score:.6f}"
        return replace(self, status=Status.DISTURBED, score=None, locked=None, reason=f"{reason}{scored}")

    @property
    def fresh(self) -> bool:
        """Whether it only confirms: its score, on another split, is never averaged with those of the search."""
        return self.replicate >= FRESH

    @property
    def split(self) -> str | None:
        """On which validation split it was scored, "search" or "confirm"; None where the script printed the score."""
        return None if not self.trusted else "confirm" if self.fresh else "search"

    @property
    def study(self) -> bool:
        """Whether it belongs to an operation on a lineage, and not to the search."""
        return self.replicate >= STUDY

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Outcome:
        """Read a record; keys of a later version are ignored, absent ones get their defaults."""
        known = {name: value for name, value in record.items() if name in cls.__dataclass_fields__}
        known["status"] = Status(known["status"])
        if "curve" in known:
            known["curve"] = [(float(p), float(loss)) for p, loss in known["curve"]]
        return cls(**known)


class Fitness(base.Fitness):  # type: ignore[misc]
    """An estimate from the scores of an individual's evaluations: mean, standard error, count.

    A failure is a kind, not a number: with no score at all, the fitness is worse than any measured one,
    whatever the direction of the metric. Subclasses fix the direction; DEAP compares `wvalues`.
    """

    weights = (-1.0,)

    def __init__(self, scores: Sequence[float] | None = None) -> None:
        """`None`: not evaluated yet (`valid` is False). Empty: evaluated, and it failed."""
        # Not super().__init__(): it would only check the weights, which cost more than all the rest.
        self.mean = math.nan
        self.stderr = math.nan
        self.count = 0
        if scores is None:
            return
        if any(not math.isfinite(score) for score in scores):
            raise ValueError(f"a score must be finite, not {list(scores)}: record it as a failure")
        self.count = len(scores)
        self.mean = statistics.fmean(scores) if scores else -math.inf * self.weights[0]
        if self.count > 1:
            self.stderr = statistics.stdev(scores) / math.sqrt(self.count)
        self.values = (self.mean,)

    @property
    def measured(self) -> bool:
        """True where at least one evaluation gave a score."""
        return self.count > 0

    def __deepcopy__(self, memo: dict[int, Any]) -> Fitness:
        """DEAP's own copy keeps only the weighted values and would lose the estimate."""
        clone = type(self)()
        clone.__dict__.update(self.__dict__)
        return clone

    def gain_over(self, other: Fitness) -> float:
        """How much better this one's mean is; positive is better in either direction of the metric."""
        return (self.mean - other.mean) * float(self.weights[0])


class MinimisedFitness(Fitness):
    weights = (-1.0,)


class MaximisedFitness(Fitness):
    weights = (1.0,)


def fitness_type(direction: Direction) -> type[Fitness]:
    return MinimisedFitness if direction is Direction.MIN else MaximisedFitness


@dataclass(frozen=True)
class Offspring:
    """What an operator wrote, before it is archived. `parents` are ids, the fitter one first."""

    genome: str
    parents: tuple[int, ...]
    operator: str
    idea: str  # one sentence: the commit's subject line
    generation: int  # 1 + the highest generation of the parents
    model: str | None = None  # the LLM that wrote it
    cost: dict[str, float] = field(default_factory=dict)  # tokens and money spent on writing it
    body: str = ""  # what else a reader of the commit should know
    derivation: dict[str, Any] = field(default_factory=dict)  # how an operation on a lineage made it


class Individual:
    """A genome in the archive with its parents and what was measured of it."""

    def __init__(
        self,
        id: int,
        parents: tuple[int, ...],
        *,
        operator: str,
        idea: str,
        generation: int,
        commit: str,
        read_genome: Callable[[str], str],
        fitness: Fitness,
        model: str | None = None,
        cost: dict[str, float] | None = None,
        derivation: dict[str, Any] | None = None,
    ) -> None:
        self.id = id
        self.parents = parents
        self.operator = operator
        self.idea = idea
        self.generation = generation
        self.commit = commit
        self.model = model
        self.cost = cost or {}
        self.derivation = derivation or {}
        self._estimate = (0, fitness)  # from so many outcomes
        self.outcomes: list[Outcome] = []  # of the search and its confirmation
        self.studies: list[Outcome] = []  # of operations on a lineage
        self._read_genome = read_genome

    @property
    def fitness(self) -> Fitness:
        """The estimate from the runs of the search; computed when it is asked for, once for all new outcomes."""
        count, fitness = len(self.outcomes), self._estimate[1]
        if count != self._estimate[0]:
            fitness = type(fitness)(self.scores if self.searched else None)
            self._estimate = (count, fitness)
        return fitness

    @property
    def derived(self) -> bool:
        """Whether an operation on a lineage made it, and not the search."""
        return self.id >= DERIVED

    @property
    def name(self) -> str:
        """What a user calls it: '#12', or 'd3' for one that an operation on a lineage made."""
        return f"d{self.id - DERIVED}" if self.derived else f"#{self.id}"

    @property
    def time_box(self) -> float | None:
        """Seconds that it trains for, where that is not the box of the search."""
        box = self.derivation.get("time_box")
        return None if box is None else float(box)

    @property
    def genome(self) -> str:
        """The script's text, read from the archive: ten thousand sources do not fit in memory for nothing."""
        return self._read_genome(self.commit)

    @property
    def scores(self) -> list[float]:
        """Of the search: what fitness and every decision rest on."""
        return [one.score for one in self.outcomes if one.score is not None and not one.fresh]

    @property
    def fresh_scores(self) -> list[float]:
        """Of the runs that no selection has seen."""
        return [one.score for one in self.outcomes if one.score is not None and one.fresh]

    @property
    def searched(self) -> bool:
        """Whether the search has an outcome of it; fresh runs are none."""
        return any(one.counts and not one.fresh for one in self.outcomes)

    @property
    def done(self) -> set[int]:
        """The replicates of the search that need not be run any more."""
        return {one.replicate for one in self.outcomes if one.counts}

    @property
    def studied(self) -> set[int]:
        """The replicates of operations on a lineage that need not be run any more."""
        return {one.replicate for one in self.studies if one.counts}

    def add(self, outcome: Outcome) -> None:
        """Take one more outcome; the estimate is of those of the search."""
        (self.studies if outcome.study else self.outcomes).append(outcome)

    def __repr__(self) -> str:
        return f"Individual({self.name}, {self.operator}, {self.fitness.mean:.4f} x{self.fitness.count})"
