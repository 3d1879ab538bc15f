"""Lineages whose true effects are known: a switch a step, and trials that are functions of the switches."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from evolve import arena
from evolve.archive import Archive
from evolve.evaluation.executors import Slot
from evolve.evaluation.trial import Trial
from evolve.individual import Individual, Offspring, Outcome, Status
from evolve.measuring import Workplace
from evolve.randomness import CounterBased
from evolve.rundir import RunDirectory
from evolve.trials import Data
from tests.stub import TOY

STATE = {
    "arena": "toy",
    "script": "train.py",
    "metric": "val_bpb",
    "direction": "min",
    "corpus": "",
    "seed": 1,
    "time_box": 0.05,
    "pop": 3,
}
SWITCH = re.compile(r"^(\w+) = (\d+)", re.MULTILINE)
NOISE = 0.01


def seed_genome(count: int) -> str:
    """Switches S0, S1, ..., all off, and some code below them."""
    return "".join(f"S{k} = 0\n" for k in range(count)) + "\n\ndef main():\n    print(S0)\n"


def switched(genome: str, **values: int) -> str:
    for name, value in values.items():
        genome, found = re.subn(rf"^{name} = \d+", f"{name} = {value}", genome, flags=re.MULTILINE)
        assert found == 1
    return genome


def evaluator(effects: Mapping[str, float], noise: float = NOISE, salt: str = "") -> Callable[[Trial], Outcome]:
    """Score: 3 less the effects of the switches that are on, plus the seed's luck, plus the run's own."""

    def evaluate(trial: Trial) -> Outcome:
        on = {name: int(value) for name, value in SWITCH.findall(trial.source)}
        score = 3.0 - sum(effects.get(name, 0.0) * value for name, value in on.items())
        score += 0.05 * CounterBased(f"{salt}/{trial.seed}".encode()).gauss()
        score += noise * CounterBased(f"{salt}/{trial.source}/{trial.seed}".encode()).gauss()
        return Outcome(
            Status.OK,
            score,
            individual=trial.individual,
            replicate=trial.replicate,
            seed=trial.seed,
            seconds={"training": trial.time_box, "total": trial.time_box},
            tail="done",
        )

    return evaluate


def grow(archive: Archive, count: int, claims: Sequence[float] = ()) -> Individual:
    """A lineage that turns on one switch after the other; `claims` are the scores that the search had."""
    text = seed_genome(count)
    one = archive.add(Offspring(text, (), "seed", "The seed genome", 0))
    line = [one]
    for k in range(count):
        text = switched(text, **{f"S{k}": 1})
        line.append(archive.add(Offspring(text, (line[-1].id,), "catalogue", f"Turn on S{k}", k + 1)))
    for one, claim in zip(line, claims, strict=False):
        archive.record(one, Outcome(Status.OK, claim))
    return line[-1]


@contextmanager
def workplace(
    folder: Path,
    evaluate: Callable[[Trial], Outcome],
    *,
    create: bool = True,
    state: Mapping[str, object] | None = None,
) -> Iterator[Workplace]:
    """A run in `folder` whose trials are `evaluate`."""
    directory = RunDirectory(folder)
    if create:
        Archive.create(directory.archive, {**STATE, **(state or {})}).close()
    with Archive.open(directory.archive, write=True) as archive:
        slots = [Slot((0,)), Slot((1,))]
        console = Console(file=io.StringIO(), width=200)
        yield Workplace(archive, arena.load(str(TOY)), Data("", "", ""), directory, slots, console, evaluate)
