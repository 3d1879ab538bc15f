"""The figures on top of the page."""

from __future__ import annotations

import math
from typing import NamedTuple

from analysis.frames import Frames, noise_of
from evolve.archive.repository import Archive
from evolve.arena import Direction
from evolve.rundir import RunDirectory
from evolve.summary import champion_lines, duration


class Tile(NamedTuple):
    label: str
    value: str
    remark: str


def sentences(archive: Archive, directory: RunDirectory) -> list[str]:
    """The champion and how far its figure can be trusted, as the end of a search prints it."""
    noise, champion = noise_of(archive), archive.champion()
    if noise is None or champion is None:
        return ["Nothing was measured yet."]
    state = archive.read_state()
    direction = Direction(state["direction"])
    return champion_lines(champion, archive.individuals[0], noise, state["metric"], direction, directory.path)


def tiles(archive: Archive, frames: Frames) -> list[Tile]:
    table, runs = frames.individuals, frames.evaluations
    shown = [_champion(frames), _seed(frames), _gain(frames)]
    pop = archive.read_state().get("pop")
    births = max(0, len(table) - 1)
    remark = f"generation {births // pop} of {pop} births each" if pop else ""
    shown.append(Tile("Offspring", f"{births}", remark))
    failed = int((runs["status"] != "ok").sum())
    pending = int((table["status"] == "pending").sum())
    remark = f"{failed} without a score" + (f", {pending} running or waiting" if pending else "")
    shown.append(Tile("Evaluations", f"{len(runs)}", remark))
    total = float(runs["seconds_total"].sum())
    shown.append(Tile("Workers' time", duration(total), f"time box {frames.time_box:g} s"))
    if len(frames.studies):
        spent = duration(float(frames.studies["seconds_total"].sum()))
        remark = f"{len(frames.derived)} derived genomes, {spent} of workers; no search saw them"
        shown.append(Tile("Runs of operations", f"{len(frames.studies)}", remark))
    calls = frames.llm_calls
    if len(calls):
        tokens = int(calls["input_tokens"].sum() + calls["output_tokens"].sum())
        unknown = int(calls["cost"].isna().sum())
        cost = f"cost {calls['cost'].sum():.4g}" + (f", unknown for {unknown}" if unknown else "")
        shown.append(Tile("Exchanges with models", f"{len(calls):,}", f"{tokens:,} tokens, {cost}"))
    return shown


def _champion(frames: Frames) -> Tile:
    if frames.champion is None:
        return Tile("Champion", "none yet", "")
    return _measured(frames, frames.champion, f"Champion #{frames.champion}")


def _seed(frames: Frames) -> Tile:
    if not len(frames.individuals) or math.isnan(frames.individuals["score"].loc[0]):
        return Tile("Seed genome", "not measured", "")
    return _measured(frames, 0, "Seed genome")


def _measured(frames: Frames, individual: int, label: str) -> Tile:
    one = frames.individuals.loc[individual]
    if one["confirmed_runs"]:
        interval = f"95 % {one['confirmed_low']:.4f} to {one['confirmed_high']:.4f}"
        return Tile(label, f"{one['confirmed']:.4f}", f"{interval}, {one['confirmed_runs']} fresh runs")
    runs = f"{one['runs']} run{'s' if one['runs'] != 1 else ''}"
    return Tile(label, f"{one['score']:.4f}", f"mean of {runs}, not confirmed")


def _gain(frames: Frames) -> Tile:
    noise = "" if math.isnan(frames.noise) else f"noise of a run in the search {frames.noise:.4f}"
    if frames.champion is None:
        return Tile("Gain", "none yet", noise)
    table = frames.individuals
    column = "confirmed" if table.at[frames.champion, "confirmed_runs"] and table.at[0, "confirmed_runs"] else "score"
    scores = table[column].astype(float)
    gain = frames.sign * (scores.loc[frames.champion] - scores.loc[0])
    return Tile("Gain over the seed", f"{gain:.4f}", noise)
