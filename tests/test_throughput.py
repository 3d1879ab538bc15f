"""The step count as a control variate: what it corrects, and what it leaves alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.arena import Direction
from evolve.estimates import Estimates
from evolve.individual import Outcome, Status
from evolve.throughput import LEAST_KIN, Pace, Throughput, pace_of, step_slope

SLOPE = -0.05  # BPB by log(steps)
NOISE = 0.0003


def score(truth: float, log_steps: float, rng: np.random.Generator) -> float:
    return truth + SLOPE * log_steps + NOISE * rng.standard_normal()


def measured(rng: np.random.Generator, machine: float, genomes: float, count: int = 60) -> tuple[Throughput, float]:
    """A search of `count` genomes whose speeds differ by `genomes`, on a machine that varies by `machine`.

    And the mean square of what remains of the machine's effect on their scores.
    """
    throughput = Throughput()
    for _ in range(5):  # the seed genome
        speed = machine * rng.standard_normal()
        throughput.take(0, score(1.0, speed, rng), Pace("kind", round(10_000 * math.exp(speed))))
    left = []
    for id in range(1, count):
        own, speed = genomes * rng.standard_normal(), machine * rng.standard_normal()
        pace = Pace("kind", round(10_000 * math.exp(own + speed)))
        throughput.take(id, score(1.0, own + speed, rng), pace)
        left.append((id, SLOPE * speed))
    return throughput, float(np.mean([(throughput.shift(id) + done) ** 2 for id, done in left]))


def test_an_uneven_machine_is_corrected_for() -> None:
    rng = np.random.default_rng(1)
    left = [measured(rng, machine=0.1, genomes=0.0)[1] for _ in range(40)]
    assert math.sqrt(float(np.mean(left))) < 0.5 * abs(SLOPE) * 0.1


def test_a_quicker_genome_keeps_what_it_gains() -> None:
    """Correcting never does more harm than good, whatever the genomes cost a step."""
    rng = np.random.default_rng(2)
    for genomes in (0.05, 0.1, 0.3):
        left = [measured(rng, machine=0.1, genomes=genomes)[1] for _ in range(40)]
        assert math.sqrt(float(np.mean(left))) < 1.05 * abs(SLOPE) * 0.1
    quiet = [measured(rng, machine=0.001, genomes=0.3) for _ in range(20)]
    assert max(abs(throughput.shift(id)) for throughput, _ in quiet for id in range(1, 60)) < 0.001


def test_the_shift_is_unbiased_over_a_search() -> None:
    rng = np.random.default_rng(3)
    shifts = [measured(rng, machine=0.1, genomes=0.05)[0].shift(7) for _ in range(300)]
    error = float(np.std(shifts)) / math.sqrt(len(shifts))
    assert abs(float(np.mean(shifts))) < 3 * error


def test_nothing_is_corrected_before_the_replicates_show_a_slope() -> None:
    throughput = Throughput()
    for id in range(LEAST_KIN + 5):
        throughput.take(id, 1.0 - 0.001 * id, Pace("kind", 100 + id))
    throughput.take(0, 1.0, Pace("kind", 90))
    assert {throughput.shift(id) for id in range(LEAST_KIN + 5)} == {0.0}
    assert throughput.shift(99) == 0.0


def test_a_kind_of_its_own_is_left_alone() -> None:
    rng = np.random.default_rng(4)
    throughput, _ = measured(rng, machine=0.1, genomes=0.0)
    throughput.take(100, 1.0, Pace("another model", 3_000))
    assert throughput.shift(100) == 0.0 != throughput.shift(1)


@given(st.lists(st.lists(st.floats(0.9, 1.1), min_size=1, max_size=4), max_size=8))
def test_equal_step_counts_say_nothing(groups: list[list[float]]) -> None:
    assert step_slope([[(score, 5.0) for score in group] for group in groups]) == 0.0


def test_the_slope_is_that_within_genomes() -> None:
    rng = np.random.default_rng(5)
    groups = []
    for genome in range(60):
        cost = rng.standard_normal()
        logs = cost + 0.1 * rng.standard_normal(3)
        groups.append([(score(0.3 * cost + genome, log, rng), log) for log in logs])
    assert step_slope(groups) == pytest.approx(SLOPE, rel=0.1)


def test_a_slow_spell_no_longer_decides_who_is_best() -> None:
    rng = np.random.default_rng(6)
    raw, corrected = Estimates(Direction.MIN, before=1000), Estimates(Direction.MIN, before=1000)
    for replicate in range(6):
        speed = 0.3 * rng.standard_normal()
        pace = Pace("kind", round(10_000 * math.exp(speed)))
        value = score(1.0, speed, rng)
        raw.take(0, replicate, value)
        corrected.take(0, replicate, value, pace)
    for id in range(1, 40):
        truth, speed = 1.0 - 0.0005 * id, (-0.3 if id > 30 else 0.0) + 0.02 * rng.standard_normal()
        value = score(truth, speed, rng)
        raw.take(id, 0, value)
        corrected.take(id, 0, value, Pace("kind", round(10_000 * math.exp(speed))))
    assert max(raw.ranked(8)) <= 30 < min(corrected.ranked(5))


def test_a_run_that_does_not_count_its_tokens_has_no_pace() -> None:
    known = {"steps": 100, "tokens": 6_400, "parameters": 1_000, "device": "cpu"}
    assert pace_of(Outcome(Status.OK, 1.0, **known)) == Pace(("cpu", 1_000, 64), 100)
    for missing in ("steps", "tokens", "parameters"):
        assert pace_of(Outcome(Status.OK, 1.0, **{**known, missing: None})) is None
