"""Numeric optimisers on the surrogate of real H200 runs: `python -m benchmarks.numeric --trials FILE`.

Prints, in Markdown, the true value of the best run so far (as a plain keep-the-best reports it) at several
budgets in boxes: median and quartiles over seeds. A failed run costs the seconds it took.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from deap import base, cma, creator

from benchmarks.options import add_table, make_parser, whole
from benchmarks.surrogate import BOX, COLUMNS, SEED_CONSTANTS, SPACE, Surrogate, resolve
from evolve.variation.numeric import Choices, Range, Row, propose

BUDGETS = (50, 100, 200, 300)
SIGMA = 0.18  # of CMA-ES, in widths of the ranges: the best of 0.08, 0.12, 0.18, 0.2 and 0.25 here
INJECTED = 2  # best rows of others that CMA-ES takes into a generation

creator.create("Minimised", base.Fitness, weights=(-1.0,))
creator.create("Point", list, fitness=creator.Minimised)

Constants = Mapping[str, Any]
Optimiser = Callable[[Sequence[Row], Sequence[bool], random.Random], dict[str, Any]]


def search_space() -> dict[str, Range | Choices]:
    """The 14 constants as the numeric operator wants them."""
    space: dict[str, Range | Choices] = {}
    for name, (value, annotation) in SPACE.items():
        kind, _, rest = annotation.partition(": ")
        words = rest.split()
        if kind == "choices":
            space[name] = Choices(tuple(type(value)(word) for word in words))
        else:
            low, high = (float(bound) for bound in words[0].split(".."))
            space[name] = Range(low, high, "log" in words, isinstance(value, int))
    return space


DIMENSIONS = search_space()


def incumbent(rows: Sequence[Row]) -> Row:
    return min((row for row in rows if row.score is not None), key=lambda row: row.score or math.inf)


def to_unit(constants: Constants) -> list[float]:
    """Constants as a point of the unit cube: logarithms where the range says so, choices at the middle of a slice."""
    point = []
    for name, dimension in DIMENSIONS.items():
        if isinstance(dimension, Choices):
            point.append((dimension.values.index(constants[name]) + 0.5) / len(dimension.values))
        else:
            scale = math.log if dimension.log else float
            low, high = scale(dimension.low), scale(dimension.high)
            point.append((scale(constants[name]) - low) / (high - low))
    return point


def from_unit(point: Sequence[float]) -> dict[str, Any]:
    constants: dict[str, Any] = {}
    for (name, dimension), raw in zip(DIMENSIONS.items(), point, strict=True):
        share = min(max(float(raw), 0.0), 1.0)
        if isinstance(dimension, Choices):
            constants[name] = dimension.values[min(int(share * len(dimension.values)), len(dimension.values) - 1)]
            continue
        scale, back = (math.log, math.exp) if dimension.log else (float, float)
        value = back(scale(dimension.low) + share * (scale(dimension.high) - scale(dimension.low)))
        value = min(max(value, dimension.low), dimension.high)
        constants[name] = round(value) if dimension.integer else value
    return constants


def random_search(rows: Sequence[Row], own: Sequence[bool], rng: random.Random) -> dict[str, Any]:
    return from_unit([rng.random() for _ in DIMENSIONS])


def hill_climb(rows: Sequence[Row], own: Sequence[bool], rng: random.Random) -> dict[str, Any]:
    """One to three constants of the best run so far, moved."""
    best = incumbent(rows).constants
    while True:
        point = to_unit(best)
        for index in rng.sample(range(len(point)), rng.choice((1, 1, 2, 3))):
            anywhere = isinstance(list(DIMENSIONS.values())[index], Choices)
            point[index] = rng.random() if anywhere else point[index] + rng.gauss(0, 0.15)
        proposal = from_unit(point)
        if resolve(proposal) != resolve(best):
            return proposal


def cma_es(rows: Sequence[Row], own: Sequence[bool], rng: random.Random) -> dict[str, Any]:
    """CMA-ES (deap.cma) rebuilt from its own rows, with the best rows of others injected, cut to a likely length
    (Hansen 2011, "Injecting external solutions into CMA-ES")."""
    mine = [index for index, one in enumerate(own) if one]
    before = list(rows[: mine[0]]) if mine else list(rows)
    strategy = cma.Strategy(to_unit(incumbent(before).constants), SIGMA)
    size, seen = len(DIMENSIONS), len(before)
    for start in range(0, len(mine) - strategy.lambda_ + 1, strategy.lambda_):
        generation = mine[start : start + strategy.lambda_]
        points = [_point(to_unit(rows[index].constants), rows[index].score) for index in generation]
        others = [rows[index] for index in range(seen, generation[-1]) if not own[index]]
        measured = sorted((row for row in others if row.score is not None), key=lambda row: row.score or math.inf)
        for row in measured[:INJECTED]:
            step = np.array(to_unit(row.constants)) - strategy.centroid
            length = float(np.linalg.norm(strategy.B.T @ step / (strategy.diagD * strategy.sigma)))
            likely = math.sqrt(size) + 2 * size / (size + 2)
            points.append(_point(list(strategy.centroid + step * min(1.0, likely / max(length, 1e-12))), row.score))
        seen = generation[-1]
        strategy.update(sorted(points, key=lambda point: float(point.fitness.values[0]))[: strategy.lambda_])
    step = np.random.default_rng(rng.getrandbits(32)).standard_normal(size) @ strategy.BD.T
    return from_unit(strategy.centroid + strategy.sigma * step)


def tpe(rows: Sequence[Row], own: Sequence[bool], rng: random.Random) -> dict[str, Any]:
    return propose(DIMENSIONS, rows, rng, incumbent(rows).constants)


def tpe_whole(rows: Sequence[Row], own: Sequence[bool], rng: random.Random) -> dict[str, Any]:
    return propose(DIMENSIONS, rows, rng)


# What proposes, and every how many births; hill-climbing makes the others.
METHODS: dict[str, tuple[Optimiser, int]] = {
    "random": (random_search, 1),
    "hill-climb": (hill_climb, 1),
    "CMA-ES": (cma_es, 1),
    "TPE, whole samples": (tpe_whole, 1),
    "TPE around the best": (tpe, 1),
    "hill-climb + 1/2 CMA-ES": (cma_es, 2),
    "hill-climb + 1/2 TPE": (tpe, 2),
    "hill-climb + 1/4 CMA-ES": (cma_es, 4),
    "hill-climb + 1/4 TPE": (tpe, 4),
}


def run(surrogate: Surrogate, method: str, seed: int) -> tuple[list[float], list[float], float]:
    """True values and optimism at each budget, and the seconds a proposal of the optimiser takes."""
    optimiser, every = METHODS[method]
    rng = random.Random(f"{seed}")
    rows: list[Row] = []
    own: list[bool] = []
    used = spent = 0.0
    true_values: list[float] = []
    optimism: list[float] = []
    while len(true_values) < len(BUDGETS):
        constants: dict[str, Any] = dict(SEED_CONSTANTS)
        mine = bool(rows) and len(rows) % every == 0
        if rows:
            before = time.process_time()
            constants = (optimiser if mine else hill_climb)(rows, own, rng)
            spent += (time.process_time() - before) if mine else 0.0
        trial = surrogate.run(constants, seed)
        used += trial.seconds / BOX
        while len(true_values) < len(BUDGETS) and used > BUDGETS[len(true_values)]:
            best = incumbent(rows)
            true_values.append(surrogate.true(best.constants))
            optimism.append(true_values[-1] - (best.score or 0.0))
        rows.append(Row(resolve(constants), trial.score))
        own.append(mine)
    return true_values, optimism, spent / max(sum(own), 1)


def _point(values: list[float], score: float | None) -> Any:
    point = creator.Point(values)
    point.fitness.values = (1e3 if score is None else score,)
    return point


def main() -> None:
    parser = make_parser("numeric", __doc__)
    add_table(parser, COLUMNS)
    parser.add_argument("--seeds", type=whole(), default=10, metavar="N", help="searches of each method (10)")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS), help="of these (all)")
    options = parser.parse_args()
    surrogate = Surrogate.fit(options.trials)
    print("| method | " + " | ".join(f"{budget} boxes" for budget in BUDGETS) + " | optimism | ms a proposal |")
    print("|---|" + "---|" * (len(BUDGETS) + 2))
    for method in options.methods:
        results = [run(surrogate, method, seed) for seed in range(options.seeds)]
        cells = []
        for index in range(len(BUDGETS)):
            low, middle, high = np.quantile([values[index] for values, _, _ in results], (0.25, 0.5, 0.75))
            cells.append(f"{middle:.4f} ({low:.4f}-{high:.4f})")
        cells.append(f"{np.mean([optimism[-1] for _, optimism, _ in results]):.5f}")
        cells.append(f"{1000 * np.mean([seconds for _, _, seconds in results]):.1f}")
        print(f"| {method} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
