"""The steps of a lineage as frames: what each claimed, what its replay and its ablation say."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.tables import frame
from evolve.archive.repository import Archive
from evolve.individual import Individual
from evolve.lineages.ablate import Extent, ablated
from evolve.lineages.paired import Effect, Verdict
from evolve.lineages.replay import replayed
from evolve.noise import Noise
from evolve.rundir import RunDirectory

STEPS = {
    "id": int,
    **dict.fromkeys(("name", "idea", "operator"), None),
    **dict.fromkeys(("claimed", "claimed_low", "claimed_high", "gain", "low", "high"), float),
    "verdict": None,
    "share": float,
}
CONTRIBUTIONS = {
    "id": int,
    **dict.fromkeys(("name", "idea", "operator"), None),
    **dict.fromkeys(("gain", "low", "high"), float),
    **dict.fromkeys(("verdict", "extent", "conflicts"), None),
}


def replay(run: str | Path, ref: str = "champion") -> pd.DataFrame:
    """One row a step of the lineage of `ref`, indexed by `id`, the first step first.

    name, idea, operator; claimed: gain that the search's runs show (NaN: not measured)
    gain, low, high: gain that the replays show and its 95 % interval (NaN: not replayed)
    verdict: "real", "within noise", "harmful", ... ("" where not replayed); share: of the total gain (NaN: unknown)
    claimed_low, claimed_high: NaN, or a 95 % interval where the table was made with the noise of one run

    Raises evolve.errors.UserError for no such run or individual, and for one without a step.
    """
    with Archive.open(RunDirectory.find(str(run)).archive) as archive:
        return steps(archive, archive.resolve(ref), None)


def ablation(run: str | Path, ref: str = "champion") -> pd.DataFrame:
    """One row a step of the lineage of `ref`, indexed by `id`: what it contributes in the end.

    name, idea, operator; gain, low, high: advantage of `ref` over `ref` without the step, and its 95 % interval (NaN:
    not measured); verdict: "real", "within noise", "harmful", "conflict", "nothing left", ... ("" where not run);
    extent: "whole", "in part", "conflict" or "nothing left": how much of the step can be taken out alone;
    conflicts: the statements of it that cannot, as text.

    Raises evolve.errors.UserError as `replay` does.
    """
    with Archive.open(RunDirectory.find(str(run)).archive) as archive:
        result = ablated(archive, ref)
    rows = []
    for step in result.steps:
        known = str(step.extent) if step.extent in (Extent.CONFLICT, Extent.NOTHING) else None
        effect = _effect(step.gain)
        rows.append(
            {
                "id": step.individual,
                "name": step.name,
                "idea": step.idea,
                "operator": step.operator,
                **effect,
                "verdict": known or effect["verdict"],
                "extent": str(step.extent),
                "conflicts": ", ".join(step.conflicts),
            }
        )
    return frame(rows, CONTRIBUTIONS).set_index("id")


def steps(archive: Archive, individual: Individual | None, noise: Noise | None) -> pd.DataFrame:
    """The table of `replay`; with the noise of one run, what was claimed has an interval, too.

    Without a row for the seed genome, which has no step, and for nobody.
    """
    rows: list[dict[str, Any]] = []
    if individual and individual.parents:
        line = replayed(archive, individual.name).steps
        for before, step in itertools.pairwise(line):
            counts = [archive.everyone[one.individual].fitness.count for one in (before, step)]
            claimed = math.nan if step.claimed_gain is None else step.claimed_gain
            half = (
                1.96 * noise.sd * math.sqrt(sum(1 / count for count in counts)) if noise and all(counts) else math.nan
            )
            rows.append(
                {
                    "id": step.individual,
                    "name": step.name,
                    "idea": step.idea,
                    "operator": step.operator,
                    "claimed": claimed,
                    "claimed_low": claimed - half,
                    "claimed_high": claimed + half,
                    **_effect(step.gain),
                    "share": math.nan if step.share is None else step.share,
                }
            )
    return frame(rows, STEPS).set_index("id")


def _effect(gain: Effect | None) -> dict[str, Any]:
    if gain is None or (not gain.runs and gain.verdict is Verdict.UNKNOWN):
        return {"gain": math.nan, "low": math.nan, "high": math.nan, "verdict": ""}
    return {"gain": gain.value, "low": gain.low, "high": gain.high, "verdict": gain.verdict.value}
