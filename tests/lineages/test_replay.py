"""Replay on lineages whose true effects are known."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evolve.archive import Archive
from evolve.errors import UserError
from evolve.lineages.paired import Verdict
from evolve.lineages.replay import replay, replayed
from evolve.lineages.steps import REPLAY
from evolve.lineages.tables import replay_lines, tally
from tests.lineages.synthetic import evaluator, grow, workplace

EFFECTS = {"S0": 0.10, "S1": 0.0, "S2": -0.10, "S3": 0.20, "S4": 0.0}


def test_a_replay_tells_what_is_real_and_is_archived(tmp_path: Path) -> None:
    with workplace(tmp_path, evaluator(EFFECTS)) as place:
        last = grow(place.archive, 5, claims=[3.0, 2.9, 2.8, 2.7, 2.6, 2.5])
        result = replay(place, str(last.id), 4)
        verdicts = [step.gain.verdict for step in result.steps if step.gain is not None]
        assert verdicts == [Verdict.REAL, Verdict.NOISE, Verdict.HARMFUL, Verdict.REAL, Verdict.NOISE]
        assert result.total.low < 0.2 < result.total.high
        assert result.claimed == pytest.approx(0.5)
        shares = [step.share for step in result.steps if step.share is not None]
        assert sum(shares) == pytest.approx(1.0)
        assert (result.replicates, result.missing) == (4, 0)
        text = "\n".join(replay_lines(result))
        assert re.search(r"Total gain claimed \+0\.5000, replayed \+0\.\d{4} \(95 % interval", text)
        assert "2 real, 2 within noise, 1 harmful" in text
    with Archive.open(tmp_path / "archive.git") as archive:
        assert replayed(archive, str(last.id)) == result
        assert len(archive.studies()) == 24
        assert len(archive.in_order()) == 6
        assert [run.replicate for run in archive.individuals[0].studies] == [REPLAY + k for k in range(4)]
        assert all(one.fitness.count == 1 for one in archive.individuals.values())
        assert archive.curves(archive.individuals[0], studies=True)[0]["tail"] == "done"


def test_a_replay_goes_on_where_it_was_stopped_and_repeats_nothing(tmp_path: Path) -> None:
    ran: list[tuple[int, int]] = []
    function = evaluator(EFFECTS)

    def counted(trial):  # type: ignore[no-untyped-def]
        ran.append((trial.individual, trial.replicate))
        if len(ran) == 7:
            raise KeyboardInterrupt
        return function(trial)

    with workplace(tmp_path / "parts", counted) as place, pytest.raises(KeyboardInterrupt):
        grow(place.archive, 5)
        replay(place, "5", 2)
    with workplace(tmp_path / "parts", counted, create=False) as place:
        before = replayed(place.archive, "5", 2)
        assert 0 < before.missing < 12
        parts = replay(place, "5", 2)
    with workplace(tmp_path / "whole", function) as place:
        grow(place.archive, 5)
        whole = replay(place, "5", 2)
        more = replay(place, "5", 4)
    assert [step.replayed for step in parts.steps] == [step.replayed for step in whole.steps]
    assert more.replicates == 4
    assert len(ran) - len(set(ran)) <= 2  # what was in flight


def test_failures_are_told_and_decide_nothing(tmp_path: Path) -> None:
    from evolve.individual import Outcome, Status

    function = evaluator(EFFECTS)

    def fragile(trial):  # type: ignore[no-untyped-def]
        if trial.individual == 2:
            return Outcome(Status.CRASHED, reason="no", individual=2, replicate=trial.replicate, seed=trial.seed)
        return function(trial)

    with workplace(tmp_path, fragile) as place:
        grow(place.archive, 3)
        result = replay(place, "3", 3)
    failed, after = result.steps[2], result.steps[3]
    assert failed.gain is not None and after.gain is not None
    assert (failed.gain.verdict, after.gain.verdict) == (Verdict.FAILED, Verdict.NEEDED)
    assert failed.failures == ("crashed",) * 3
    assert result.total.verdict is Verdict.NOISE
    assert "failed" in "\n".join(replay_lines(result))


def test_what_cannot_be_replayed_is_said(tmp_path: Path) -> None:
    with workplace(tmp_path, evaluator({})) as place:
        grow(place.archive, 1)
        with pytest.raises(UserError, match="#0 is the seed genome"):
            replay(place, "0")
        with pytest.raises(UserError, match="no individual 'nobody'"):
            replay(place, "nobody")
        with pytest.raises(UserError, match="--replicates 1 "):
            replay(place, "1", 1)


def test_verdicts_over_many_lineages_are_wrong_as_often_as_stated(tmp_path: Path) -> None:
    called = []
    for number in range(8):
        with workplace(tmp_path / str(number), evaluator({"S0": 0.1}, salt=str(number))) as place:
            grow(place.archive, 6)
            called += [step.gain for step in replay(place, "6", 3).steps if step.gain is not None]
    real = [gain for place, gain in enumerate(called) if place % 6 == 0]
    none = [gain for place, gain in enumerate(called) if place % 6 != 0]
    assert all(gain.verdict is Verdict.REAL for gain in real)
    assert sum(gain.low <= 0.1 <= gain.high for gain in real) >= 6
    # 40 steps without effect: 2 are expected to be called something, more than 6 has a probability of 0.4 %.
    assert sum(gain.verdict is not Verdict.NOISE for gain in none) <= 6


def test_how_often_a_verdict_is_wrong_is_told_where_there_are_verdicts() -> None:
    assert "of 1 of that kind, 0.05 would be." in tally([Verdict.REAL], "step")
    assert "of 12 of that kind, 0.6 would be." in tally([Verdict.NOISE] * 12, "step")
    assert tally([Verdict.UNKNOWN] * 2, "step") == "Of 2 steps: 2 too few runs."
