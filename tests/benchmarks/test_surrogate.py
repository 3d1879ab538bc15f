"""The surrogate, fitted to a small made-up file whose truth is known."""

import ast
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn", reason="the benchmarks need the extra 'bench'")

from benchmarks.numeric import DIMENSIONS, METHODS, from_unit, to_unit
from benchmarks.surrogate import LEFT_OUT, NOISE, SEED_CONSTANTS, Surrogate, genome_text, noise, read, resolve
from evolve.variation.numeric import Row


def truth(constants: dict[str, Any]) -> float:
    rate = math.log2(constants["MATRIX_LR"] / 0.03)
    return 0.975 + 0.003 * rate**2 + 0.01 * abs(constants["WARMDOWN_RATIO"] - 0.6)


def fails(constants: dict[str, Any]) -> bool:
    width = math.ceil(constants["DEPTH"] * constants["ASPECT_RATIO"] / constants["HEAD_DIM"]) * constants["HEAD_DIM"]
    return bool(constants["DEPTH"] * width * constants["DEVICE_BATCH_SIZE"] > 900_000)


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(0)
    rows = []
    for number in range(700):
        constants = resolve(from_unit([rng.random() for _ in DIMENSIONS]))
        failed = fails(constants)
        score = None if failed else truth(constants) + 0.0003 * rng.gauss(0, 1)
        seconds = 20 + 20 * rng.random() if failed else 300.0
        row = {"method": "Random", "search": 0, "trial": number, "val_bpb": score, "success": int(not failed)}
        rows.append({**row, "seconds": seconds, **constants})
    rows.append({**rows[0], "method": LEFT_OUT, "val_bpb": 0.5, "success": 1})
    path = tmp_path_factory.mktemp("trials") / "trials.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def surrogate(trials: Path) -> Surrogate:
    return Surrogate.fit(trials, subset=120)


def drawn(count: int, seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [from_unit([rng.random() for _ in DIMENSIONS]) for _ in range(count)]


def test_runs_that_changed_code_are_left_out(trials: Path) -> None:
    assert LEFT_OUT not in set(read(trials)["method"])
    assert len(read(trials)) == 700


def test_it_knows_the_truth_of_runs_it_has_not_seen(surrogate: Surrogate) -> None:
    fitting = [constants for constants in drawn(150, 1) if not fails(resolve(constants))]
    guesses = np.array([surrogate.true(constants) for constants in fitting])
    truths = np.array([truth(constants) for constants in fitting])
    assert np.corrcoef(np.log(guesses - 0.97), np.log(truths - 0.97))[0, 1] > 0.85


def test_failures_are_foreseen_and_cost_what_they_take(surrogate: Surrogate) -> None:
    right = [(surrogate.failure_probability(c) > 0.5) == fails(resolve(c)) for c in drawn(150, 2)]
    assert np.mean(right) > 0.95
    large = {**SEED_CONSTANTS, "DEPTH": 24, "ASPECT_RATIO": 128, "DEVICE_BATCH_SIZE": 256}
    run = surrogate.run(large, 0)
    assert (run.status, run.score, run.curve) == ("out_of_memory", None, [])
    assert 10 <= run.seconds <= 60


def test_no_optimum_where_nothing_was_measured(surrogate: Surrogate) -> None:
    best = min(surrogate.true(constants) for constants in drawn(300, 3))
    assert best > 0.9735
    far = {**SEED_CONSTANTS, "EMBEDDING_LR": 1e6, "SCALAR_LR": 1e6, "UNEMBEDDING_LR": 1e6}
    assert surrogate.true(far) > surrogate.true(SEED_CONSTANTS)


def test_a_run_repeats_by_its_seed(surrogate: Surrogate) -> None:
    first = surrogate.run(SEED_CONSTANTS, 7)
    assert first == surrogate.run(SEED_CONSTANTS, 7)
    assert first.score != surrogate.run(SEED_CONSTANTS, 8).score
    assert (first.status, first.seconds, first.curve[-1][0]) == ("ok", 300.0, 1.0)
    assert first.score == pytest.approx(surrogate.true(SEED_CONSTANTS), abs=8 * NOISE)


def test_noise_has_the_measured_spread_and_tails() -> None:
    rng = np.random.default_rng(0)
    sample = np.array([noise(rng) for _ in range(20_000)])
    assert sample.std() == pytest.approx(NOISE, rel=0.05)
    assert np.quantile(sample, (0.01, 0.05, 0.1)) == pytest.approx((-0.0011, -0.00049, -0.00031), rel=0.12)


def test_the_total_batch_holds_a_device_batch() -> None:
    resolved = resolve({**SEED_CONSTANTS, "DEVICE_BATCH_SIZE": 256, "TOTAL_BATCH_SIZE": 65536})
    assert resolved["TOTAL_BATCH_SIZE"] == 256 * 2048
    with pytest.raises(KeyError):
        resolve({"DEPTH": 8})


def test_the_genome_holds_every_constant_with_its_space() -> None:
    text = genome_text({"DEPTH": 9})
    assigned = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert assigned == {**SEED_CONSTANTS, "DEPTH": 9}
    assert 'WINDOW_PATTERN = "SSSL"  # choices: SSSL SLSL SSLL SSSS LSSL LLLL' in text
    assert "MATRIX_LR = 0.04  # range: 0.005..0.2 log" in text


def test_the_unit_cube_and_back() -> None:
    for constants in drawn(50, 4):
        again = from_unit(to_unit(constants))
        assert again == {k: pytest.approx(v) if isinstance(v, float) else v for k, v in constants.items()}


@pytest.mark.parametrize("method", METHODS)
def test_every_optimiser_proposes_within_the_space(method: str, surrogate: Surrogate) -> None:
    optimiser, _ = METHODS[method]
    rows, own = [Row(SEED_CONSTANTS, 0.99)], [False]
    for number in range(30):
        constants = optimiser(rows, own, random.Random(number))
        assert resolve(constants).keys() == SEED_CONSTANTS.keys()
        rows.append(Row(resolve(constants), None if number % 5 == 0 else surrogate.true(constants)))
        own.append(number % 3 != 0)
    assert optimiser(rows, own, random.Random(0)) == optimiser(rows, own, random.Random(0))
