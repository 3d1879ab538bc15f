"""An archive as tidy pandas frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from evolve.archive.repository import Archive
from evolve.rundir import RunDirectory


@dataclass(frozen=True)
class Frames:
    """A search in two tables.

    individuals: one row an individual, indexed by id: `operator`, `idea`, `generation` (1 + the highest of
        its parents), `commit`, `score` (mean over its evaluations in the search, in the arena's metric; NaN
        where it failed or was not evaluated), `count` (scores in the mean), `status` (of the last evaluation),
        `champion` (whether it is on the best individual's lineage of first parents).
    edges: one row a parent-child pair: `parent`, `child`, `rank` (0: the fitter parent, 1: the other).
    metric: the name of the score; minimise: whether lower is better.
    """

    individuals: pd.DataFrame
    edges: pd.DataFrame
    metric: str
    minimise: bool


def load(run: str | Path) -> Frames:
    """Read the run in a folder (or of that name below runs/). Raises evolve.errors.UserError where there is none."""
    with Archive.open(RunDirectory.find(str(run)).archive) as archive:
        state = archive.read_state()
        rows = {
            one.id: {
                "operator": one.operator,
                "idea": one.idea,
                "generation": one.generation,
                "commit": one.commit,
                "score": one.fitness.mean if one.fitness.measured else float("nan"),
                "count": one.fitness.count,
                "status": one.outcomes[-1].status.value if one.outcomes else "pending",
            }
            for one in archive.individuals.values()
        }
        individuals = pd.DataFrame.from_dict(rows, orient="index").rename_axis("id")
        minimise = state["direction"] == "min"
        individuals["champion"] = False
        if individuals["score"].notna().any():
            best = individuals["score"].idxmin() if minimise else individuals["score"].idxmax()
            path = [one.id for one in archive.lineage(archive.individuals[int(str(best))])]
            individuals.loc[path, "champion"] = True
        pairs = [
            {"parent": parent, "child": one.id, "rank": rank}
            for one in archive.individuals.values()
            for rank, parent in enumerate(one.parents)
        ]
    edges = pd.DataFrame(pairs, columns=["parent", "child", "rank"])
    return Frames(individuals, edges, str(state["metric"]), minimise)
