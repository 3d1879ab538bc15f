"""The racing bound on simulated curves, and the rules around it."""

import math
from typing import Any

import numpy as np
import pytest

from benchmarks.curves import CORRELATION, FINAL_SPREAD, PROGRESS, REFERENCE, SPREAD, learning_curve
from evolve.evaluation.racing import CHECKPOINTS, FinishedCurve, RacingRule, Verdict, false_stop_rate, loss_at
from evolve.individual import Direction

POP = 8


def finished(count: int, seed: int, spread: float = 0.003, **flags: Any) -> list[FinishedCurve]:
    rng = np.random.default_rng(seed)
    scores = REFERENCE + spread * np.abs(rng.standard_normal(count))
    return [FinishedCurve(learning_curve(float(score), rng), float(score), False, **flags) for score in scores]


def judge_whole(
    rule: RacingRule, curve: list[tuple[float, float]], cut: float, individual: int, **flags: Any
) -> Verdict:
    """The verdict of a run that is judged at every checkpoint as it goes."""
    verdict = Verdict(False, False, 0.0, 0.0)
    for checkpoint in CHECKPOINTS:
        so_far = [point for point in curve if point[0] <= checkpoint + 1e-9]
        verdict = rule.judge(so_far, cut, seed=0, individual=individual, **flags)
        if verdict.stop:
            break
    return verdict


def test_the_simulated_curves_have_the_public_correlations() -> None:
    rng = np.random.default_rng(0)
    scores = REFERENCE + FINAL_SPREAD * rng.standard_normal(3000)
    curves = np.array([[loss for _, loss in learning_curve(float(score), rng)] for score in scores])
    for progress, correlation, spread in list(zip(PROGRESS, CORRELATION, SPREAD, strict=True))[1:]:
        at = curves[:, round(progress * curves.shape[1]) - 1]
        assert np.corrcoef(at, scores)[0, 1] == pytest.approx(correlation, abs=0.04)
        assert at.std() / scores.std() == pytest.approx(spread, rel=0.06)


@pytest.mark.parametrize("known", [30, 60, 150])
def test_false_stops_stay_under_the_bound(known: int) -> None:
    """Runs exactly at the cut are the hardest of those that would enter."""
    stopped = []
    for seed in range(25):
        rule = RacingRule(finished(known, seed), Direction.MIN, let_through=0.0)
        rng = np.random.default_rng(10_000 + seed)
        cut = REFERENCE + 0.0005
        stopped += [judge_whole(rule, learning_curve(cut, rng), cut, i).stop for i in range(60)]
    assert float(np.mean(stopped)) <= 0.01 + 2 * math.sqrt(0.01 * 0.99 / len(stopped))


def test_in_a_search_false_stops_stay_under_the_bound_and_boxes_are_saved() -> None:
    """The closed loop: what is stopped is missing from the calibration, and the cut moves."""
    entered = lost = boxes = saved = 0.0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        done: list[FinishedCurve] = []
        population: list[float] = []
        rule = RacingRule(done, Direction.MIN)
        for individual in range(250):
            best = min(population, default=0.992)
            step = (
                0.0008 * rng.standard_normal() if rng.random() < 0.3 else 0.003 * math.exp(1.2 * rng.standard_normal())
            )
            score = max(best + step, 0.973) + 0.0003 * rng.standard_normal()
            curve = learning_curve(score, rng)
            cut = population[-1] if len(population) == POP else math.inf
            enters = score < cut
            entered += enters
            boxes += 1
            if math.isfinite(cut):
                if individual % 5 == 0:
                    rule = RacingRule(done, Direction.MIN)
                verdict = judge_whole(rule, curve, cut, individual)
                if verdict.stop:
                    lost += enters
                    saved += 1 - verdict.progress
                    continue
            done.append(FinishedCurve(curve, score, enters))
            population = sorted([*population, score])[:POP]
    assert lost / entered <= 0.01
    assert saved / boxes > 0.1


def test_off_until_there_are_enough_curves() -> None:
    hopeless = learning_curve(1.5, np.random.default_rng(0))
    for count, stops in ((0, False), (24, False), (25, True)):
        rule = RacingRule(finished(count, 1), Direction.MIN, let_through=0.0)
        assert rule.ready is stops
        assert judge_whole(rule, hopeless, REFERENCE, 1).stop is stops


def test_an_edited_schedule_is_not_judged_before_seventy_percent() -> None:
    rule = RacingRule(finished(60, 1), Direction.MIN, let_through=0.0)
    hopeless = learning_curve(1.5, np.random.default_rng(0))
    assert judge_whole(rule, hopeless, REFERENCE, 1).progress == CHECKPOINTS[0]
    assert judge_whole(rule, hopeless, REFERENCE, 1, touches_schedule=True).progress == 0.7


def test_a_score_to_maximise_races_alike() -> None:
    curves = finished(60, 1)
    mirrored = [FinishedCurve(one.curve, -one.score, one.entered) for one in curves]
    rng = np.random.default_rng(5)
    for individual in range(30):
        curve = learning_curve(REFERENCE + 0.02 * float(rng.random()), rng)
        down = RacingRule(curves, Direction.MIN).judge(curve, REFERENCE, seed=0, individual=individual)
        up = RacingRule(mirrored, Direction.MAX).judge(curve, -REFERENCE, seed=0, individual=individual)
        assert down == up


def test_a_share_of_the_losing_goes_on() -> None:
    rule = RacingRule(finished(60, 1), Direction.MIN, let_through=0.1)
    hopeless = learning_curve(1.5, np.random.default_rng(0))
    verdicts = [rule.judge(hopeless, REFERENCE, seed=0, individual=i) for i in range(1000)]
    assert all(verdict.losing for verdict in verdicts)
    assert 60 < sum(not verdict.stop for verdict in verdicts) < 140
    assert verdicts == [rule.judge(hopeless, REFERENCE, seed=0, individual=i) for i in range(1000)]


def test_while_the_population_is_not_full_nothing_is_stopped() -> None:
    rule = RacingRule(finished(60, 1), Direction.MIN, let_through=0.0)
    assert not judge_whole(rule, learning_curve(1.5, np.random.default_rng(0)), math.inf, 1).stop


def test_an_exploded_loss_is_losing() -> None:
    rule = RacingRule(finished(60, 1), Direction.MIN, let_through=0.0)
    assert rule.judge([(0.3, math.inf)], REFERENCE, seed=0, individual=1).stop
    assert rule.judge([(0.3, math.nan)], REFERENCE, seed=0, individual=1).stop


def test_measured_false_stops_weigh_what_was_let_through() -> None:
    entered = [FinishedCurve([(1.0, 1.0)], 1.0, True)] * 99
    through = [FinishedCurve([(1.0, 1.0)], 1.0, True, let_through_at=0.5)]
    beaten = [FinishedCurve([(1.0, 1.0)], 1.0, False, let_through_at=0.5)] * 9
    rate, count = false_stop_rate([*entered, *through, *beaten], 0.1)
    assert count == 10
    assert rate == pytest.approx(9 / 109)
    assert math.isnan(false_stop_rate(beaten, 0.1)[0])


def test_the_loss_at_a_checkpoint_looks_only_back() -> None:
    curve = [(0.1, 5.0), (0.28, 4.0), (0.3, 2.0), (0.31, 100.0)]
    assert loss_at(curve, 0.3) == 3.0
    assert loss_at(curve, 0.2) == 5.0
    assert math.isnan(loss_at(curve, 0.05))


def test_bounds_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        RacingRule([], Direction.MIN, bound=0.0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        RacingRule([], Direction.MIN, let_through=1.0)
