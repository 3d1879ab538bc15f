"""An archive as tidy pandas frames: `load(run)`."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import tables
from analysis.steps import steps as lineage_steps
from evolve.archive.repository import Archive
from evolve.arena import Direction
from evolve.estimates import estimates_of
from evolve.noise import Noise
from evolve.rundir import RunDirectory


@dataclass(frozen=True)
class Frames:
    """A search in seven tables, and operations on its lineages in two. What was not measured is NaN, or None (text).

    A score is in the arena's metric (BPB: bits per byte); a gain is positive where better. `individuals` and
    `evaluations` are the search's alone: no figure of it changes by what `evolve replay`, `ablate`, `prune` and
    `transfer` do.

    individuals: one row an individual, indexed by `id` (order of birth).
        operator; model (None: no language model); idea; commit
        generation: 1 + the highest of its parents
        status: "ok" where it has a score, else how its last evaluation ended, "pending" before one that counts
        score, stderr: mean over the search's evaluations and the mean's standard error; runs: how many those are
        gain: of the score over its first parent's
        confirmed, confirmed_low, confirmed_high: mean of the fresh runs, which no selection saw, and its 95 %
            interval; confirmed_runs: how many those are (0: none). They are scored on a validation split of their
            own: compare them with the seed genome's, not with `score`
        seconds: of a worker's time, all evaluations together
        input_tokens, output_tokens, money: spent on writing it (NaN: no language model, or an unknown price)
        elite: rank in the population, 0 the best (NaN: not in it)
        champion: whether it is on the champion's lineage of first parents
    evaluations: one row an evaluation, indexed by `evaluation` (order of arrival).
        individual
        kind: "first"; "replicate" (in the search), "choice" (between contenders), "fresh" (confirming, see above)
        status, score, reason, replicate, seed, device, corpus, trusted
        seconds_startup, seconds_training, seconds_scoring, seconds_total
        started: Unix time; steps, tokens, parameters; peak_memory_mb: 10^6 bytes
        entered: whether its score put it into the population when it arrived
    derived: one row a genome that an operation on a lineage made, indexed by `id` (from 10^9 on).
        name: what commands call it (d0, d1, ...); operator: "ablation", "prune" or "transfer"; idea, commit, generation
        branch: that is on it, such as pruned/12: what came of the operation in the end (None: none)
        status, score, stderr, runs: as of individuals, but over its runs in operations: those are on fresh seeds, and
            scored on the split of `confirmed`
        gain: over its first parent, the mean over the replicates that both ran (NaN: none)
        seconds: of a worker's time, all its runs together
    studies: one row a run that such an operation made, of any individual; the columns of evaluations, whose numbers
        it carries on. kind: "replay", "ablation", "transfer", "pruning", "check" (of what a pruning gave)
    curves: one row a point of a learning curve. evaluation (or study), individual, progress (0..1 of the time box),
        loss (nats a token for the GPT arenas)
    edges: one row a parent-child pair, the derived ones' last. parent, child, rank (0: the fitter parent, or the genome
        that an operation changed; 1: the other)
    llm_calls: one row an exchange with a language model, in order of time. individual (its offspring; where none came
        of it, the parent), time (Unix), model, operator, intent, turn (0 begins a draft), input_tokens,
        output_tokens, cached_tokens, cost (NaN: unknown), seconds, finish_reason, rejection, repaired, fault, reason
    steps: one row a step of the champion's lineage, indexed by `id`, as `analysis.replay` gives it: what it claimed,
        with an interval from the noise of one run, and what `evolve replay` found.
    constants: one row an individual whose run reported constants, indexed by `id`; a column a constant.

    name: the run's folder; metric: the name of the score; minimise: whether lower is better; time_box: seconds;
    noise: standard deviation of one run's score (NaN before the first one); champion: id (None before there is one).
    """

    individuals: pd.DataFrame
    evaluations: pd.DataFrame
    derived: pd.DataFrame
    studies: pd.DataFrame
    curves: pd.DataFrame
    edges: pd.DataFrame
    llm_calls: pd.DataFrame
    steps: pd.DataFrame
    constants: pd.DataFrame
    name: str
    arena: str
    metric: str
    minimise: bool
    time_box: float
    noise: float
    champion: int | None

    @property
    def sign(self) -> float:
        """What a score is multiplied by so that more is better."""
        return -1.0 if self.minimise else 1.0

    @property
    def everyone(self) -> pd.DataFrame:
        """Individuals, then derived ones, with the columns of both but `score`, and `name`, `champion`, `derived`."""
        shared = [name for name in self.individuals if name in self.derived and name != "score"]
        names = [f"#{id}" for id in self.individuals.index]
        search = self.individuals[[*shared, "champion"]].assign(name=pd.Series(names, self.individuals.index, object))
        made = self.derived[[*shared, "name"]].assign(champion=False)
        return pd.concat([search.assign(derived=False), made.assign(derived=True)])

    def lineage(self, individual: int) -> list[int]:
        """Ids from the seed genome to the individual along first parents."""
        first = self.edges.loc[self.edges["rank"] == 0]
        parent = dict(zip(first["child"], first["parent"], strict=True))
        line = [individual]
        while line[-1] in parent:
            line.append(int(parent[line[-1]]))
        return line[::-1]


def load(run: str | Path) -> Frames:
    """Read the run in a folder (or of that name below runs/). Raises evolve.errors.UserError where there is none."""
    directory = RunDirectory.find(str(run))
    with _uncollected(), Archive.open(directory.archive) as archive:
        return read(archive, directory.name)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """While entered, nobody looks for garbage: all that is read is kept, and to find that out takes a fifth longer."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def read(archive: Archive, name: str) -> Frames:
    """The frames of an open archive; `name` is what figures call the run."""
    state = archive.read_state()
    direction = Direction(state["direction"])
    noise = noise_of(archive)
    champion = archive.champion()
    return Frames(
        tables.individuals(archive, direction, noise, champion),
        tables.evaluations(archive.in_order()),
        tables.derived(archive),
        tables.evaluations(archive.studies(), len(archive.in_order())),
        tables.curves(archive),
        tables.edges(archive),
        tables.llm_calls(archive),
        lineage_steps(archive, champion, noise),
        tables.constants(archive),
        name,
        str(state["arena"]),
        str(state["metric"]),
        direction is Direction.MIN,
        float(state["time_box"]),
        noise.sd if noise else float("nan"),
        champion.id if champion else None,
    )


def noise_of(archive: Archive) -> Noise | None:
    """The noise of one run, as the search knew it at its end; None before the first score."""
    estimates = estimates_of(archive.in_order(), Direction(archive.read_state()["direction"]))
    return estimates.noise if estimates.measured else None
