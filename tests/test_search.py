"""The main job on real training: the CPU arena in tiny boxes."""

from __future__ import annotations

from pathlib import Path

from evolve.archive.repository import Archive
from tests.command import evolve


def test_a_small_search_trains_real_models(tmp_path: Path) -> None:
    done = evolve("--pop", 2, "--gens", 1, "--time-box", 1, "--seed", 1, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Lineage" in done.stdout
    with Archive.open(tmp_path / "runs" / "gpt_cpu" / "archive.git") as archive:
        outcomes = archive.in_order()
        assert sorted({one.id for one, _ in outcomes}) == [0, 1, 2]
        for one, outcome in outcomes:
            assert outcome.status == "ok", outcome.reason
            assert outcome.score is not None and 1.0 < outcome.score < 6.0
            assert outcome.seconds["training"] < 1.5
            assert outcome.steps and outcome.tokens and outcome.corpus
            curve = archive.curves(one)[0]["curve"]
            assert 0 < len(curve) <= 64
        assert archive.individuals[1].genome != archive.individuals[0].genome
