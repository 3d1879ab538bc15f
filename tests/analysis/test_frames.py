"""Frames against figures that were worked out by hand, and against the archive they come from."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import Frames, load
from evolve.archive.repository import Archive
from evolve.errors import UserError
from evolve.individual import CHOICE, FRESH, Offspring, Outcome, Status
from tests.analysis.archives import STATE
from tests.stub import evolve


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    """Six individuals: seed 0; 1 better; 2 crashed; 3 cross of 1 and 4; 4 of a language model; 5 not evaluated yet."""
    folder = tmp_path_factory.mktemp("golden") / "run"
    with Archive.create(folder / "archive.git", {**STATE, "time_box": 5.0}) as archive:

        def add(text: str, parents: tuple[int, ...], operator: str, **more: object) -> None:
            generation = 1 + max((archive.individuals[one].generation for one in parents), default=-1)
            archive.add(Offspring(text, parents, operator, f"Idea {text}", generation, **more))  # type: ignore[arg-type]

        def run(id: int, score: float | None, replicate: int = 0, **more: object) -> None:
            status = Status.OK if score is not None else Status.CRASHED
            outcome = Outcome(status, score, replicate=replicate, seed=replicate + 7, **more)  # type: ignore[arg-type]
            archive.record(archive.individuals[id], outcome)

        seconds = {"startup": 0.5, "training": 5.0, "scoring": 0.25, "total": 6.0}
        add("a", (), "seed")
        run(0, 2.0, seconds=seconds, steps=100, curve=[(0.5, 3.0), (1.0, 2.5)], constants={"LR": 0.1, "ACT": "relu"})
        run(0, 2.1, 1, seconds=seconds)
        add("b", (0,), "catalogue")
        run(1, 1.8, seconds=seconds, entered=True, constants={"LR": 0.2, "ACT": "gelu"})
        add("c", (0,), "numeric")
        run(2, None, reason="it fell", seconds={"total": 1.0}, curve=[(0.25, math.nan)], tail="Traceback")
        add("d", (1,), "tune", model="m", cost={"input_tokens": 300.0, "output_tokens": 40.0, "money": 0.5})
        exchange = {"model": "m", "operator": "mutation", "intent": "tune", "turn": 0, "input_tokens": 300}
        exchange |= {"output_tokens": 40, "cost": 0.5, "seconds": 2.0, "finish_reason": "stop", "messages": []}
        archive.note_exchange(archive.individuals[3], {**exchange, "time": 20.0, "reply": "x"})
        archive.note_exchange(archive.individuals[1], {**exchange, "time": 10.0, "rejection": "no-op", "cost": None})
        run(3, 1.7, seconds=seconds)
        add("e", (3, 1), "crossover")
        run(4, 1.6, seconds=seconds)
        run(4, 1.5, CHOICE, seconds=seconds)
        run(4, 1.65, FRESH, seconds=seconds)
        run(4, 1.75, FRESH + 1, seconds=seconds)
        run(0, 2.05, FRESH, seconds=seconds)
        run(0, 2.15, FRESH + 1, seconds=seconds)
        add("f", (4,), "catalogue")
        archive.set_elite([archive.individuals[id] for id in (4, 3, 1, 0)])
        archive.set_champion(archive.individuals[4])
    return load(folder)


def test_individuals(golden: Frames) -> None:
    table = golden.individuals
    assert table.index.tolist() == [0, 1, 2, 3, 4, 5]
    assert table["operator"].tolist() == ["seed", "catalogue", "numeric", "tune", "crossover", "catalogue"]
    assert table["model"].tolist() == [None, None, None, "m", None, None]
    assert table["generation"].tolist() == [0, 1, 1, 2, 3, 4]
    assert table["status"].tolist() == ["ok", "ok", "crashed", "ok", "ok", "pending"]
    np.testing.assert_allclose(table["score"], [2.05, 1.8, math.nan, 1.7, 1.55, math.nan])
    np.testing.assert_allclose(table["gain"], [math.nan, 0.25, math.nan, 0.1, 0.15, math.nan])
    assert table["runs"].tolist() == [2, 1, 0, 1, 2, 0]
    spread = np.std([2.0, 2.1], ddof=1) / np.sqrt(2)
    np.testing.assert_allclose(table["stderr"].iloc[:2], [spread, math.nan])
    np.testing.assert_allclose(table["confirmed"], [2.1, math.nan, math.nan, math.nan, 1.7, math.nan])
    assert table["confirmed_runs"].tolist() == [2, 0, 0, 0, 2, 0]
    assert (table.loc[[0, 4], "confirmed_low"] < table.loc[[0, 4], "confirmed"]).all()
    assert table["seconds"].tolist() == [24.0, 6.0, 1.0, 6.0, 24.0, 0.0]
    np.testing.assert_allclose(table.loc[3, ["input_tokens", "output_tokens", "money"]].astype(float), [300, 40, 0.5])
    np.testing.assert_allclose(table["elite"], [3, 2, math.nan, 1, 0, math.nan])
    assert table.index[table["champion"]].tolist() == [0, 1, 3, 4]
    assert golden.champion == 4 and golden.lineage(4) == [0, 1, 3, 4]


def test_evaluations(golden: Frames) -> None:
    table = golden.evaluations
    assert table["individual"].tolist() == [0, 0, 1, 2, 3, 4, 4, 4, 4, 0, 0]
    kinds = ["first", "replicate", "first", "first", "first", "first", "choice", "fresh", "fresh", "fresh", "fresh"]
    assert table["kind"].tolist() == kinds
    assert table.loc[3, ["status", "reason"]].tolist() == ["crashed", "it fell"] and math.isnan(table.at[3, "score"])
    assert table.loc[0, ["seconds_startup", "seconds_training", "seconds_total", "steps"]].tolist() == [0.5, 5, 6, 100]
    assert math.isnan(table.at[3, "seconds_training"]) and math.isnan(table.at[3, "steps"])
    assert table.index[table["entered"]].tolist() == [2]
    assert table["seed"].tolist()[:2] == [7, 8]


def test_curves_edges_calls_and_constants(golden: Frames) -> None:
    expected = [(0, 0, 0.5, 3.0), (0, 0, 1.0, 2.5), (3, 2, 0.25, math.nan)]
    np.testing.assert_allclose(golden.curves.to_numpy(dtype=float), expected)
    assert golden.edges.to_numpy().tolist() == [[0, 1, 0], [0, 2, 0], [1, 3, 0], [3, 4, 0], [1, 4, 1], [4, 5, 0]]
    calls = golden.llm_calls
    assert calls["time"].tolist() == [10.0, 20.0] and calls["individual"].tolist() == [1, 3]
    assert calls["rejection"].tolist() == ["no-op", None]
    np.testing.assert_allclose(calls["cost"], [math.nan, 0.5])
    assert golden.constants.to_dict("index") == {0: {"LR": 0.1, "ACT": "relu"}, 1: {"LR": 0.2, "ACT": "gelu"}}


def test_what_holds_for_the_whole_search(golden: Frames) -> None:
    assert (golden.name, golden.arena, golden.metric, golden.minimise) == ("run", "toy", "val_bpb", True)
    assert golden.time_box == 5.0 and golden.sign == -1.0
    assert 0.02 < golden.noise < 0.1  # of one run: 2.0 and 2.1, 1.6 and 1.5, and a weak prior
    assert golden.steps.index.tolist() == [1, 3, 4]
    np.testing.assert_allclose(golden.steps["claimed"], [0.25, 0.1, 0.15])
    half = 1.96 * golden.noise * np.sqrt([1 / 2 + 1, 1 + 1, 1 + 1 / 2])
    np.testing.assert_allclose(golden.steps["claimed_high"] - golden.steps["claimed"], half)
    assert golden.steps["gain"].isna().all() and (golden.steps["verdict"] == "").all()


def test_a_search_is_in_the_frames_as_it_is_in_the_archive(tmp_path: Path) -> None:
    evolution = evolve(tmp_path, pop=4, gens=8)
    frames = load(tmp_path)
    everyone = evolution.archive.individuals
    assert frames.individuals["score"].tolist() == [one.fitness.mean for one in everyone.values()]
    assert len(frames.edges) == sum(len(one.parents) for one in everyone.values())
    assert frames.champion == (evolution.champion.id if evolution.champion else None)
    assert len(frames.curves) == 60 * len(frames.evaluations)
    assert frames.curves["evaluation"].is_monotonic_increasing
    with Archive.open(tmp_path / "archive.git") as archive:
        last = archive.curves(archive.individuals[len(everyone) - 1])[0]["curve"]
    own = frames.curves[frames.curves["individual"] == len(everyone) - 1].head(60)
    assert own[["progress", "loss"]].to_numpy().tolist() == [list(point) for point in last]


def test_what_operations_made_is_apart_from_the_search(frames: Frames, operated: Path) -> None:
    before, after = frames, load(operated)
    for name in ("individuals", "evaluations", "constants", "llm_calls"):
        pd.testing.assert_frame_equal(getattr(after, name), getattr(before, name))
    assert (after.noise, after.champion) == (before.noise, before.champion)
    searched = after.curves["evaluation"] < len(before.evaluations)
    pd.testing.assert_frame_equal(after.curves[searched], before.curves)
    assert after.edges.head(len(before.edges)).equals(before.edges)
    with Archive.open(operated / "archive.git") as archive:
        made, studies = archive.derived, archive.studies()
        pruned = archive.resolve(f"pruned/{after.champion}")
        names = {one.id: one.name for one in archive.everyone.values()}
    assert after.derived.index.tolist() == list(made)
    assert set(after.derived["operator"]) == {"ablation", "prune", "transfer"}
    assert after.everyone["name"].to_dict() == names
    assert after.studies.index.tolist() == list(range(len(before.evaluations), len(before.evaluations) + len(studies)))
    assert after.studies["individual"].tolist() == [one.id for one, _ in studies]
    assert set(after.studies["kind"]) <= {"replay", "ablation", "transfer", "pruning", "check"}
    assert after.studies["score"].tolist() == [outcome.score for _, outcome in studies]
    assert len(after.curves[~searched]) == 60 * len(studies)
    edges = [(parent, one.id, rank) for one in made.values() for rank, parent in enumerate(one.parents)]
    assert list(after.edges.tail(len(edges)).itertuples(index=False, name=None)) == edges
    row, runs = after.derived.loc[pruned.id], after.studies[after.studies["individual"] == pruned.id]
    assert row["branch"] == f"pruned/{after.champion}"
    assert (row["name"], row["status"], row["runs"]) == (pruned.name, "ok", len(runs))
    assert row["score"] == pytest.approx(runs["score"].mean())
    assert row["stderr"] == pytest.approx(runs["score"].std() / np.sqrt(len(runs)))
    assert row["seconds"] == pytest.approx(runs["seconds_total"].sum())
    origin = after.studies[after.studies["individual"] == after.champion].set_index("replicate")["score"]
    paired = origin - runs.set_index("replicate")["score"]
    assert paired.notna().any() and row["gain"] == pytest.approx(paired.mean())


def test_every_table_of_an_empty_archive_has_its_columns(tmp_path: Path, golden: Frames) -> None:
    Archive.create(tmp_path / "archive.git", {**STATE, "time_box": 5.0}).close()
    empty = load(tmp_path)
    for name in ("individuals", "evaluations", "derived", "studies", "curves", "edges", "llm_calls", "steps"):
        table, other = getattr(empty, name), getattr(golden, name)
        assert len(table) == 0
        pd.testing.assert_series_equal(table.dtypes, other.dtypes)
    assert empty.champion is None and math.isnan(empty.noise)


def test_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run at"):
        load(tmp_path / "nowhere")
