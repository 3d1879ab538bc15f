"""A surrogate of real five-minute H200 runs: `python -m benchmarks.surrogate --trials FILE` prints its errors."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.curves import learning_curve
from benchmarks.options import add_table, make_parser

Array = NDArray[np.float64]
Constants = Mapping[str, Any]
Columns = Mapping[str, NDArray[Any]]  # values of each constant, shape (rows,)

LEFT_OUT = "Karpathy Agent (Code)"  # its runs changed code beyond the constants
BOX = 300.0  # seconds
SEQUENCE = 2048  # tokens; a batch on the device is a multiple of it
NOISE = 0.00035  # BPB, standard deviation of one run within one allocation
FLOOR = 0.970  # BPB below every measured run (best: 0.97409); the regression is on log(BPB - FLOOR)
GOOD = 1.0  # BPB under which errors are also reported: where a search spends its boxes
NEIGHBOURS = 64  # nearest runs that decide how far a point is from the data
CAUTION = 1.0  # standard deviations added where the data say little, so that no optimiser can live there
TIMEOUT_SECONDS = 600.0
TIMEOUT_SHARE = 0.0013  # of failures: 3 of 2,354 hung until they were ended

# The search space of the published runs, as annotations of a genome; the values are the seed genome's.
SPACE: dict[str, tuple[Any, str]] = {
    "DEPTH": (8, "range: 4..24"),
    "ASPECT_RATIO": (64, "range: 32..128"),
    "HEAD_DIM": (128, "choices: 64 128 256"),
    "DEVICE_BATCH_SIZE": (128, "choices: 32 64 128 256"),
    "TOTAL_BATCH_SIZE": (524288, "choices: 65536 131072 262144 524288 1048576 2097152"),
    "EMBEDDING_LR": (0.6, "range: 0.01..2.0 log"),
    "UNEMBEDDING_LR": (0.004, "range: 0.0005..0.05 log"),
    "MATRIX_LR": (0.04, "range: 0.005..0.2 log"),
    "SCALAR_LR": (0.5, "range: 0.05..2.0 log"),
    "WEIGHT_DECAY": (0.2, "range: 0.0..0.5"),
    "WARMUP_RATIO": (0.0, "range: 0.0..0.3"),
    "WARMDOWN_RATIO": (0.5, "range: 0.1..0.8"),
    "FINAL_LR_FRAC": (0.0, "range: 0.0..0.2"),
    "WINDOW_PATTERN": ("SSSL", "choices: SSSL SLSL SSLL SSSS LSSL LLLL"),
}
SEED_CONSTANTS: dict[str, Any] = {name: value for name, (value, _) in SPACE.items()}
COLUMNS = ("method", "success", "val_bpb", "seconds", *SPACE)  # of a table of runs
WINDOWS = SPACE["WINDOW_PATTERN"][1].split()[1:]


@dataclass(frozen=True)
class SimulatedRun:
    """What one run of five minutes would have given. `score` is in BPB, None where it failed."""

    status: str  # ok, out_of_memory, timed_out: the words of evolve.individual.Status
    score: float | None
    seconds: float
    curve: list[tuple[float, float]]  # (progress 0..1, loss)


def genome_text(constants: Constants | None = None) -> str:
    """A script whose constants carry their search space as comments, as the operators read them."""
    values = {**SEED_CONSTANTS, **(constants or {})}
    lines = ['"""The 14 constants of a published search space; the run itself is simulated."""', ""]
    lines += [f"{name} = {_literal(values[name])}  # {space}" for name, (_, space) in SPACE.items()]
    return "\n".join(lines) + "\n"


def read(trials: Path) -> pd.DataFrame:
    """The runs of a trials file that changed nothing but the 14 constants."""
    table = pd.read_csv(trials)
    return table[table["method"] != LEFT_OUT].reset_index(drop=True)


class Surrogate:
    """Validation BPB, failure and cost of a run, as functions of the 14 constants.

    A Gaussian process (Matern 5/2, one length scale a feature, its hyperparameters by marginal likelihood
    on a subset) on log(BPB - FLOOR): smooth, and no lower than FLOOR by construction. Away from the data it
    returns to the mean of all runs, which is bad, and the standard deviation given the nearest runs is added
    on top: an optimiser finds no optimum where nothing was measured. Failures (nearly all are out of memory,
    which is a threshold in the logarithms of the sizes) are a logistic regression on those logarithms.
    """

    def __init__(self, table: pd.DataFrame, subset: int = 600) -> None:
        ended = table["success"] == 1
        self._centre, self._scale = 0.0, 1.0
        measured = table[ended]
        inputs = _features(_columns(measured))
        self._centre, self._scale = inputs.mean(axis=0), inputs.std(axis=0)
        keys = measured[list(SPACE)].astype(str).agg("|".join, axis=1)
        targets = np.log(measured["val_bpb"].to_numpy() - FLOOR)
        # Repeats of the same constants are one point with less noise: a smaller matrix, the same posterior.
        groups = pd.Series(range(len(measured)), index=keys.to_numpy()).groupby(level=0, sort=False)
        first = groups.first().to_numpy()
        self._points: Array = self._normal(inputs[first])
        self._repeats: Array = groups.size().to_numpy(dtype=float)
        self._targets: Array = pd.Series(targets, index=keys.to_numpy()).groupby(level=0, sort=False).mean().to_numpy()
        self._mean = float(self._targets.mean())
        self._fit_hyperparameters(subset)
        self._solve()
        sizes = _sizes(_columns(table))
        self._fails = make_pipeline(StandardScaler(), LogisticRegression(C=100.0, max_iter=3000))
        self._fails.fit(sizes, ~ended)
        failed_seconds = table.loc[~ended, "seconds"].to_numpy()
        self._cost = LinearRegression().fit(sizes[~ended], np.log(failed_seconds))
        self._cost_spread = float(np.std(np.log(failed_seconds) - self._cost.predict(sizes[~ended])))

    @classmethod
    def fit(cls, trials: Path, subset: int = 600) -> Surrogate:
        """A surrogate of the runs in a file; hyperparameters from `subset` of them."""
        return cls(read(trials), subset)

    def predict(self, columns: Columns, caution: float = CAUTION) -> Array:
        """BPB of every row, shape (rows,), with `caution` standard deviations added where data are far."""
        queries = self._normal(_features(columns))
        kernel = self._kernel(queries, self._points)
        logs = self._mean + kernel @ self._weights
        if caution:
            logs = logs + caution * np.array(
                [self._ignorance(row, query) for row, query in zip(kernel, queries, strict=True)]
            )
        return FLOOR + np.exp(logs)

    def true(self, constants: Constants) -> float:
        """Expected BPB of a run that does not fail."""
        return float(self.predict(_row(constants))[0])

    def failure_probability(self, constants: Constants) -> float:
        return float(self._fails.predict_proba(_sizes(_row(constants)))[0, 1])

    def run(self, constants: Constants, seed: int) -> SimulatedRun:
        """One simulated run; the same constants and seed give the same run."""
        resolved = resolve(constants)
        rng = _generator(resolved, seed)
        if rng.random() < self.failure_probability(resolved):
            if rng.random() < TIMEOUT_SHARE:
                return SimulatedRun("timed_out", None, TIMEOUT_SECONDS, [])
            log_seconds = self._cost.predict(_sizes(_row(resolved)))[0] + self._cost_spread * rng.standard_normal()
            return SimulatedRun("out_of_memory", None, float(np.clip(np.exp(log_seconds), 10.0, BOX)), [])
        score = self.true(resolved) + noise(rng)
        return SimulatedRun("ok", score, BOX, learning_curve(score, rng))

    def _normal(self, inputs: Array) -> Array:
        return np.asarray((inputs - self._centre) / self._scale)

    def _fit_hyperparameters(self, subset: int) -> None:
        chosen = np.random.default_rng(0).choice(len(self._points), min(subset, len(self._points)), replace=False)
        kernel = ConstantKernel(1.0) * Matern(np.full(self._points.shape[1], 3.0), (0.3, 100.0), nu=2.5)
        process = GaussianProcessRegressor(kernel + WhiteKernel(0.05, (1e-4, 1.0)), random_state=0)
        with warnings.catch_warnings():
            # A constant that does not matter has its length scale at the upper bound, as it should.
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit(self._points[chosen], self._targets[chosen] - self._mean)
        fitted = process.kernel_
        self._variance = float(fitted.k1.k1.constant_value)
        self._lengths: Array = np.asarray(fitted.k1.k2.length_scale)
        self._noise = float(fitted.k2.noise_level)

    def _solve(self) -> None:
        covariance = self._kernel(self._points, self._points)
        covariance[np.diag_indices_from(covariance)] += self._noise / self._repeats
        self._weights: Array = cho_solve(cho_factor(covariance, overwrite_a=True), self._targets - self._mean)

    def _kernel(self, a: Array, b: Array) -> Array:
        distance = np.sqrt(5.0) * cdist(a / self._lengths, b / self._lengths)
        return np.asarray(self._variance * (1.0 + distance + distance**2 / 3.0) * np.exp(-distance))

    def _ignorance(self, kernel: Array, query: Array) -> float:
        """Standard deviation of log(BPB - FLOOR) given the nearest runs alone: at least that given all of them."""
        near = np.argpartition(-kernel, NEIGHBOURS)[:NEIGHBOURS] if len(kernel) > NEIGHBOURS else np.arange(len(kernel))
        covariance = self._kernel(self._points[near], self._points[near])
        covariance[np.diag_indices_from(covariance)] += self._noise / self._repeats[near]
        explained = kernel[near] @ np.linalg.solve(covariance, kernel[near])
        return float(np.sqrt(max(self._variance - explained, 0.0)))


def resolve(constants: Constants) -> dict[str, Any]:
    """The constants as the published runs used them: a total batch holds at least one device batch.

    Raises KeyError where one of the 14 is missing.
    """
    resolved = {name: constants[name] for name in SPACE}
    least = int(resolved["DEVICE_BATCH_SIZE"]) * SEQUENCE
    resolved["TOTAL_BATCH_SIZE"] = max(int(resolved["TOTAL_BATCH_SIZE"]), least)
    return resolved


def noise(rng: np.random.Generator) -> float:
    """Noise of one run in BPB: standard deviation NOISE, tails as measured.

    Four of five runs are quiet and the fifth is not: the mixture has the quantiles of repeats of good runs
    within one search (10 %: 0.0003, 5 %: 0.0005, 1 %: 0.0009 to 0.0011, alike on both sides).
    """
    spread = 0.55 if rng.random() < 0.8 else 1.95  # 0.8 * 0.55^2 + 0.2 * 1.95^2 = 1
    return float(NOISE * spread * rng.standard_normal())


def cross_validate(trials: Path, folds: int = 5, subset: int = 600) -> dict[str, float]:
    """Errors on left-out runs; repeats of the same constants are left out together."""
    table = read(trials)
    groups = table[list(SPACE)].astype(str).agg("|".join, axis=1)
    predicted = np.full(len(table), np.nan)
    failing = np.full(len(table), np.nan)
    for fitted, left_out in GroupKFold(folds, shuffle=True, random_state=0).split(table, groups=groups):
        surrogate = Surrogate(table.iloc[fitted].reset_index(drop=True), subset)
        columns = _columns(table.iloc[left_out])
        predicted[left_out] = surrogate.predict(columns, caution=0.0)
        failing[left_out] = surrogate._fails.predict_proba(_sizes(columns))[:, 1]
    ended = (table["success"] == 1).to_numpy()
    truth, guess = table["val_bpb"].to_numpy()[ended], predicted[ended]
    errors = {"failure AUC": float(roc_auc_score(~ended, failing))}
    for name, region in (("all", truth < np.inf), ("good", truth < GOOD), ("best", truth < 0.985)):
        errors[f"runs, {name}"] = float(region.sum())
        errors[f"R2, {name}"] = float(r2_score(truth[region], guess[region]))
        errors[f"RMSE, {name}"] = float(np.sqrt(np.mean((truth[region] - guess[region]) ** 2)))
        errors[f"median error, {name}"] = float(np.median(np.abs(truth[region] - guess[region])))
        errors[f"rank correlation, {name}"] = float(spearmanr(truth[region], guess[region]).statistic)
    return errors


def _features(columns: Columns) -> Array:
    """Inputs of the regression, shape (rows, 20): logarithms where ratios act, roots of what starts at zero."""
    depth, head = columns["DEPTH"], columns["HEAD_DIM"]
    width = _width(columns)
    features = [np.log2(depth), np.log2(width), np.log2(head), np.log2(width / head)]
    features += [np.log2(columns[name]) for name in ("DEVICE_BATCH_SIZE", "TOTAL_BATCH_SIZE")]
    features += [np.log2(columns[name]) for name in SPACE if name.endswith("_LR")]
    features += [np.sqrt(columns[name]) for name in ("WEIGHT_DECAY", "WARMUP_RATIO", "FINAL_LR_FRAC")]
    features += [columns["WARMDOWN_RATIO"]]
    features += [(columns["WINDOW_PATTERN"] == window).astype(float) for window in WINDOWS]
    return np.stack(features, axis=1)


def _sizes(columns: Columns) -> Array:
    """Inputs of the failure model, shape (rows, 7): logarithms of what memory is made of."""
    width, depth = _width(columns), columns["DEPTH"]
    batch, head = columns["DEVICE_BATCH_SIZE"], columns["HEAD_DIM"]
    long_windows = np.array([pattern.count("L") for pattern in columns["WINDOW_PATTERN"]], dtype=float)
    logs = [np.log2(x) for x in (depth * width * batch, depth * width**2, depth, width, batch, head)]
    return np.stack([*logs, long_windows], axis=1)


def _width(columns: Columns) -> Array:
    """The model's width: depth times aspect ratio, rounded up to whole heads."""
    head = columns["HEAD_DIM"]
    return np.asarray(np.ceil(columns["DEPTH"] * columns["ASPECT_RATIO"] / head) * head)


def _columns(table: pd.DataFrame) -> Columns:
    return {
        name: table[name].to_numpy(type(value) if isinstance(value, str) else float)
        for name, (value, _) in SPACE.items()
    }


def _row(constants: Constants) -> Columns:
    values = resolve(constants)
    return {name: np.array([value if isinstance(value, str) else float(value)]) for name, value in values.items()}


def _generator(constants: Constants, seed: int) -> np.random.Generator:
    key = json.dumps({name: str(constants[name]) for name in SPACE}) + f"/{seed}"
    return np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big"))


def _literal(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def main() -> None:
    parser = make_parser("surrogate", __doc__)
    add_table(parser, COLUMNS)
    for name, value in cross_validate(parser.parse_args().trials).items():
        print(f"{name:28s} {value:10.5f}")


if __name__ == "__main__":
    main()
