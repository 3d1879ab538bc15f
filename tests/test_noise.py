"""Laws of the estimator, by simulation: no optimism about the selected best, intervals that cover, robustness."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.arena import Direction
from evolve.noise import Noise, Posterior, pooled_noise

Generator = np.random.Generator


def heavy(rng: Generator) -> float:
    """Standard deviation one, four of five quiet: the shape measured on repeats of real runs."""
    return float((0.55 if rng.random() < 0.8 else 1.95) * rng.standard_normal())


def normal(rng: Generator) -> float:
    return float(rng.standard_normal())


def search(rng: Generator, truths: np.ndarray, noise: Callable[[Generator], float]) -> dict[int, list[float]]:
    """A run of everybody, then replicates of whoever looks best: how selection feeds on noise."""
    runs = {i: [float(truth) + noise(rng)] for i, truth in enumerate(truths)}
    for _ in range(25):
        chosen = min((i for i in runs if len(runs[i]) < 4), key=lambda i: float(np.mean(runs[i])))
        runs[chosen].append(float(truths[chosen]) + noise(rng))
    return runs


POPULATIONS = {
    "equal": lambda rng: np.zeros(100),
    "narrow": lambda rng: 0.3 * rng.standard_normal(100),
    "as wide as the noise": lambda rng: rng.standard_normal(100),
    "wide": lambda rng: 5 * rng.standard_normal(100),
    "crowd and tail": lambda rng: np.where(rng.random(100) < 0.4, 0.6 * rng.standard_normal(100), rng.pareto(1, 100)),
}


@pytest.mark.parametrize("noise", [normal, heavy])
@pytest.mark.parametrize("population", POPULATIONS)
def test_the_selected_best_is_not_too_good_to_be_true(population: str, noise: Callable[[Generator], float]) -> None:
    shrunken, raw, covered = [], [], []
    for repetition in range(40):
        rng = np.random.default_rng(repetition)
        truths = POPULATIONS[population](rng)
        runs = search(rng, truths, noise)
        posterior = Posterior(runs, Noise(1.0, 50), Direction.MIN)
        ranked = posterior.ranked()
        shrunken.append(truths[ranked[0]] - posterior.estimate(ranked[0]).value)
        means = {i: float(np.mean(scores)) for i, scores in runs.items()}
        lucky = min(means, key=means.__getitem__)
        raw.append(truths[lucky] - means[lucky])
        for i in ranked[:10]:
            estimate = posterior.estimate(i)
            covered.append(estimate.low <= truths[i] <= estimate.high)
    error = float(np.std(shrunken)) / math.sqrt(len(shrunken))
    # In standard deviations of a run; 0.3 of one is 0.0001 BPB. Plain means are out by up to 1.3.
    assert float(np.mean(shrunken)) < 0.3 + 2 * error
    assert float(np.mean(shrunken)) > -0.5 - 2 * error
    if population in ("equal", "narrow"):
        assert float(np.mean(raw)) > 0.8
    assert float(np.mean(covered)) > 0.92


def test_probability_better_is_calibrated() -> None:
    said, happened = [], []
    for repetition in range(30):
        rng = np.random.default_rng(100 + repetition)
        truths = rng.standard_normal(80)
        posterior = Posterior(search(rng, truths, heavy), Noise(1.0, 50), Direction.MIN)
        for a, b in rng.integers(0, 80, (60, 2)):
            if a != b:
                said.append(posterior.probability_better(int(a), int(b)))
                happened.append(truths[a] < truths[b])
    said_array, happened_array = np.array(said), np.array(happened, dtype=float)
    for low, high in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.0)):
        chosen = (said_array >= low) & (said_array <= high)
        assert abs(said_array[chosen].mean() - happened_array[chosen].mean()) < 0.07


SCORES = st.dictionaries(
    st.integers(0, 50), st.lists(st.floats(0.9, 1.1), min_size=1, max_size=4), min_size=2, max_size=12
)


@settings(max_examples=40, deadline=None)
@given(SCORES)
def test_direction_mirrors_and_probabilities_complement(runs: dict[int, list[float]]) -> None:
    noise = Noise(0.001, 10)
    down = Posterior(runs, noise, Direction.MIN)
    up = Posterior({key: [-score for score in scores] for key, scores in runs.items()}, noise, Direction.MAX)
    assert down.ranked() == up.ranked()
    first, second = list(runs)[:2]
    assert down.probability_better(first, second) == pytest.approx(up.probability_better(first, second))
    total = down.probability_better(first, second) + down.probability_better(second, first)
    assert total == pytest.approx(1.0, abs=1e-6)
    for key in runs:
        estimate, mirrored = down.estimate(key), up.estimate(key)
        assert estimate.low <= estimate.value <= estimate.high
        assert (mirrored.low, mirrored.high) == pytest.approx((-estimate.high, -estimate.low))
        assert estimate.runs == len(runs[key])


def test_more_runs_narrow_the_interval() -> None:
    others = {i: [0.98 + 0.001 * i] for i in range(1, 30)}
    noise = Noise(0.0004, 20)
    once = Posterior({0: [0.985], **others}, noise, Direction.MIN).estimate(0)
    often = Posterior({0: [0.985] * 4, **others}, noise, Direction.MIN).estimate(0)
    assert often.high - often.low < once.high - once.low


def test_an_individual_far_behind_keeps_its_mean() -> None:
    posterior = Posterior({"a": [0.98], "b": [0.9801], "c": [1.5, 1.7]}, Noise(0.0004, 4), Direction.MIN)
    assert posterior.estimate("c").value == pytest.approx(1.6)
    assert posterior.probability_better("a", "c") == pytest.approx(1.0)


def test_no_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one score"):
        Posterior({"a": []}, Noise(0.0004, 4), Direction.MIN)


@pytest.mark.parametrize(("noise", "least", "most"), [(normal, 0.93, 1.07), (heavy, 0.75, 1.05)])
def test_pooled_noise_finds_the_standard_deviation(
    noise: Callable[[Generator], float], least: float, most: float
) -> None:
    rng = np.random.default_rng(1)
    groups = [[0.98 + 0.001 * i + 0.0004 * noise(rng) for _ in range(2 + i % 3)] for i in range(400)]
    assert least < pooled_noise(groups, prior_sd=0.001).sd / 0.0004 < most


def test_one_broken_run_does_not_carry_the_noise_away() -> None:
    rng = np.random.default_rng(2)
    groups = [[0.98 + 0.0004 * normal(rng) for _ in range(3)] for _ in range(20)]
    clean = pooled_noise(groups, prior_sd=0.0005).sd
    broken = pooled_noise([*groups, [0.98, 0.98, 1.6]], prior_sd=0.0005).sd
    assert broken < 1.5 * clean


def test_without_replicates_the_noise_is_the_prior() -> None:
    assert pooled_noise([[0.98], [0.99]], prior_sd=0.0005) == Noise(0.0005, 4.0)
    with pytest.raises(ValueError, match="above zero"):
        pooled_noise([], prior_sd=0.0)


@given(st.lists(st.lists(st.floats(0.9, 1.1), min_size=1, max_size=4), max_size=10), st.floats(0.5, 2.0))
def test_pooled_noise_scales_and_does_not_shift(groups: list[list[float]], factor: float) -> None:
    plain = pooled_noise(groups, prior_sd=0.01)
    scaled = pooled_noise([[3.0 + factor * score for score in group] for group in groups], prior_sd=0.01 * factor)
    assert scaled.sd == pytest.approx(factor * plain.sd, rel=1e-3)
    assert scaled.degrees == plain.degrees
