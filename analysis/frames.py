"""An archive as tidy pandas frames: `load(run)`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import tables
from analysis.steps import steps as lineage_steps
from evolve.archive.repository import Archive
from evolve.arena import Direction
from evolve.estimates import Estimates
from evolve.individual import FRESH
from evolve.noise import Noise
from evolve.rundir import RunDirectory
from evolve.throughput import pace_of


@dataclass(frozen=True)
class Frames:
    """A search in seven tables. A score is in the arena's metric (BPB: bits per byte); a gain is positive where better.

    What was not measured is NaN (numbers) or None (text).

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
    curves: one row a point of a learning curve. evaluation, individual, progress (0..1 of the time box), loss (nats a
        token for the GPT arenas)
    edges: one row a parent-child pair. parent, child, rank (0: the fitter parent, 1: the other)
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
    with Archive.open(directory.archive) as archive:
        return read(archive, name_of(directory))


def name_of(directory: RunDirectory) -> str:
    """What a run is called: its folder's name, or that of the clone that it is."""
    folder = directory.archive.resolve()
    return folder.parent.name if folder.name in ("archive.git", ".git") else folder.name.removesuffix(".git")


def read(archive: Archive, name: str) -> Frames:
    """The frames of an open archive; `name` is what figures call the run."""
    state = archive.read_state()
    direction = Direction(state["direction"])
    noise = noise_of(archive)
    champion = archive.champion()
    return Frames(
        tables.individuals(archive, direction, noise, champion),
        tables.evaluations(archive),
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
    estimates = Estimates(Direction(archive.read_state()["direction"]), before=FRESH)
    for individual, outcome in archive.in_order():
        estimates.take(individual.id, outcome.replicate, outcome.score, pace_of(outcome))
    return estimates.noise if estimates.measured else None
