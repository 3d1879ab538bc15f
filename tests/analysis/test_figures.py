"""Figures: what they draw is what the frames say, for any archive."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import Frames, ablation, figures, load, replay
from analysis.__main__ import main
from analysis.figures.boxes import spent
from analysis.figures.constants import lane
from analysis.figures.gains import claimed_gains
from analysis.figures.operators import compared
from analysis.figures.progress import running_best
from evolve.archive.repository import Archive
from evolve.individual import Offspring
from evolve.lineages.ablate import ablate as measure_ablation
from evolve.lineages.replay import replay as measure_replay
from tests.analysis.archives import HOSTILE, STATE, fill
from tests.lineages.synthetic import evaluator, seed_genome, switched, workplace


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> tuple[Frames, Frames]:
    """An archive of nobody, and one of a seed genome with a single offspring."""
    folder = tmp_path_factory.mktemp("others")
    Archive.create(folder / "none" / "archive.git", {**STATE, "time_box": 5.0}).close()
    fill(folder / "few" / "archive.git", 1)
    return load(folder / "none"), load(folder / "few")


@pytest.mark.parametrize("name", figures.FIGURES)
def test_a_figure_is_drawn_of_any_archive(name: str, frames: Frames, others: tuple[Frames, Frames]) -> None:
    given = Figure().subplots()
    assert figures.FIGURES[name](replace(frames, minimise=False), given) is given
    none, few = others
    axes = figures.FIGURES[name](none)
    assert any("." in text.get_text() for text in axes.texts)  # a sentence says why there is nothing
    assert isinstance(figures.FIGURES[name](few), Axes)


def test_words_are_drawn_as_they_are(frames: Frames) -> None:
    names = frames.steps.assign(idea="$x_$ and $\\frac{1}$ " + HOSTILE)
    axes = figures.gain_per_step(replace(frames, steps=names))
    assert isinstance(axes.figure, Figure)
    axes.figure.canvas.draw()
    assert "$x_$" in axes.get_yticklabels()[0].get_text()


def test_the_tree_has_a_mark_an_individual_and_a_line_an_edge(frames: Frames) -> None:
    axes = figures.lineage(frames)
    lines = sum(len(one.get_segments()) for one in axes.collections[:3])  # type: ignore[attr-defined]
    marks = sum(len(one.get_offsets()) for one in axes.collections[3:])  # type: ignore[arg-type]
    assert (marks, lines) == (len(frames.individuals), len(frames.edges))


def test_the_best_mean_so_far(frames: Frames) -> None:
    best = running_best(frames)
    means: dict[int, list[float]] = {}
    for number, row in frames.evaluations.iterrows():
        if row["kind"] == "fresh":
            assert number not in best.index
            continue
        if not math.isnan(row["score"]):
            means.setdefault(row["individual"], []).append(row["score"])
        assert -best[number] == pytest.approx(min(np.mean(scores) for scores in means.values()))


def test_operators_add_up(frames: Frames) -> None:
    table = compared(frames)
    assert table["births"].sum() == len(frames.individuals) - 1
    pending = (frames.individuals["status"] == "pending").sum()
    assert table[["better", "not_better", "failed"]].to_numpy().sum() == table["births"].sum() - pending
    assert table["tokens"].sum() == frames.individuals[["input_tokens", "output_tokens"]].sum().sum()
    one = table.loc[("catalogue", "")]
    mine = frames.individuals[frames.individuals["operator"] == "catalogue"]
    assert one["better"] == (mine["gain"] > 0).sum()
    assert one["gain_per_hour"] == pytest.approx(mine["gain"].clip(lower=0).sum() / (mine["seconds"].sum() / 3600))


def test_box_time_adds_up(frames: Frames) -> None:
    table = spent(frames)
    assert table.drop(columns="runs").to_numpy().sum() == pytest.approx(frames.evaluations["seconds_total"].sum())
    assert table["runs"].sum() == len(frames.evaluations)


def test_claims_are_of_first_runs_and_later_ones_apart(frames: Frames) -> None:
    claims = claimed_gains(frames)
    runs = frames.evaluations
    for child, claim in claims.iterrows():
        own = runs[(runs["individual"] == child) & runs["score"].notna() & (runs["kind"] != "fresh")]
        parent = frames.edges.loc[(frames.edges["child"] == child) & (frames.edges["rank"] == 0), "parent"].iloc[0]
        origin = frames.individuals.at[parent, "score"]
        assert claim["claimed"] == pytest.approx(origin - own["score"].iloc[0])
        if len(own) > 1:
            assert claim["later"] == pytest.approx(origin - own["score"].iloc[1:].mean())
        else:
            assert math.isnan(claim["later"])


def test_lanes_are_between_zero_and_one(frames: Frames) -> None:
    for name in frames.constants:
        values = lane(frames.constants[name])
        assert values.between(0, 1).all() and values.nunique() == frames.constants[name].nunique()


def test_replays_and_ablations_are_in_their_frames_and_figures(tmp_path: Path) -> None:
    effects = {"S0": 0.1, "S1": -0.3, "S2": 0.2}
    with workplace(tmp_path, evaluator(effects)) as place:
        one = place.archive.add(Offspring(seed_genome(4), (), "seed", "The seed genome", 0))
        for values in ({"S0": 1}, {"S1": 1}, {"S2": 1, "S3": 1}, {"S3": 2}, {"S1": 2}, {"S0": 0}):
            text = switched(one.genome, **values)
            one = place.archive.add(Offspring(text, (one.id,), "catalogue", f"Set {values}", one.generation + 1))
        place.archive.set_champion(one)
        before = replay(tmp_path), ablation(tmp_path)
        assert before[0]["gain"].isna().all() and (before[0]["verdict"] == "").all()
        # #6 undid all of #1, #5 changed all of #2 again, and #4 a part of #3.
        assert before[1]["verdict"].tolist() == ["nothing left", "conflict", "", "", "", ""]
        assert before[1]["extent"].tolist() == ["nothing left", "conflict", "in part", "whole", "whole", "whole"]
        assert before[1]["gain"].isna().all()
        measure_replay(place, "champion", 4)
        measure_ablation(place, "champion", 4)
    steps, taken = replay(tmp_path), ablation(tmp_path)
    assert steps["verdict"].tolist() == ["real", "harmful", "real", "within noise", "harmful", "harmful"]
    np.testing.assert_allclose(steps["gain"], [0.1, -0.3, 0.2, 0.0, -0.3, -0.1], atol=0.03)
    assert steps["share"].isna().all()  # the whole is a loss
    assert taken["verdict"].tolist() == ["nothing left", "conflict", "real", "within noise", "harmful", "harmful"]
    assert taken["extent"].tolist() == before[1]["extent"].tolist()
    assert taken["conflicts"].tolist() == ["", "S1", "S3", "", "", ""]
    np.testing.assert_allclose(taken["gain"], [math.nan, math.nan, 0.2, 0.0, -0.3, -0.1], atol=0.03)
    frames = load(tmp_path)
    assert frames.steps["gain"].tolist() == steps["gain"].tolist()
    assert frames.evaluations.empty  # of the search
    labels = [text.get_text() for text in figures.gain_per_step(frames).get_legend().get_texts()]  # type: ignore[union-attr]
    assert "replayed" in labels
    assert isinstance(figures.effects(taken, frames), Axes)


def test_the_command_draws_files(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, start in (("lineage.png", b"\x89PNG"), ("progress.svg", b"<?xml")):
        file = tmp_path / name
        assert main([file.stem, str(run), str(file)]) == 0
        assert file.read_bytes().startswith(start)
    assert "61 individuals" in capsys.readouterr().out
    assert main(["lineage", str(tmp_path / "nothing"), str(tmp_path / "a.png")]) == 2
    assert main(["lineage", str(run), str(tmp_path / "a.xls")]) == 2
    assert "xls" in capsys.readouterr().err
