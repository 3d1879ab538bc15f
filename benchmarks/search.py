"""The whole search on a surrogate of real H200 runs: `python -m benchmarks.search --trials FILE`.

Engine, archive, selection, replicates, racing and numeric operator are the real ones; only the trial is simulated.
Prints, in Markdown, the true value of what each method reports at several budgets in boxes (a raced run counts
its share, a failed one the time it took), and its optimism: how much better than the truth the report was. Then how far
the goals are met. With `--results FILE`, every finished search is kept there, and the same command goes on from it.
"""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
import os
import platform
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks import numeric
from benchmarks.numeric import BUDGETS
from benchmarks.options import add_table, make_parser, whole
from benchmarks.oracle import best_saving
from benchmarks.simulation import Method, Result, Simulation
from benchmarks.surrogate import COLUMNS, Surrogate
from evolve.machine import processor
from evolve.race import BOUND

ENGINE = {
    "greedy": Method("hillclimb"),
    "greedy, 2 sigma": Method("hillclimb", cautious=True),
    "random": Method("random"),
    "evolve": Method(),
    "evolve without replicates": Method(replicates=False),
    "evolve without racing": Method(racing=False),
    "evolve without numeric": Method(numeric=False),
    "evolve without crossover": Method(crossover=False),
}
ALONE = {"CMA-ES alone": "CMA-ES", "TPE alone": "TPE around the best"}  # the names in benchmarks.numeric
SINGLE = ("greedy", "greedy, 2 sigma", "random", *ALONE)

_surrogate: Surrogate | None = None

Task = tuple[str, int]  # method, seed


def _one(task: Task) -> tuple[Task, Result]:
    name, seed = task
    assert _surrogate is not None
    if name in ALONE:
        true, optimism, _ = numeric.run(_surrogate, ALONE[name], seed)
        return task, Result(true, optimism)
    with tempfile.TemporaryDirectory() as folder:
        return task, Simulation(_surrogate, ENGINE[name], seed, Path(folder)).run()


class Results:
    """The finished searches in a file, a JSON line each; those of other code or other data do not count."""

    def __init__(self, path: Path | None, trials: Path) -> None:
        self._path = path
        sources = sorted(file for folder in ("evolve", "benchmarks") for file in Path(folder).rglob("*.py"))
        texts = [file.read_bytes() for file in (*sources, trials)]
        self._version = hashlib.sha256(b"".join(hashlib.sha256(text).digest() for text in texts)).hexdigest()[:16]

    def known(self) -> dict[Task, Result]:
        if self._path is None or not self._path.exists():
            return {}
        records = [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]
        return {
            (one["method"], one["seed"]): Result(**one["result"]) for one in records if one["version"] == self._version
        }

    def add(self, task: Task, result: Result) -> None:
        if self._path is not None:
            record = {"version": self._version, "method": task[0], "seed": task[1], "result": asdict(result)}
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")


def _searches(tasks: Sequence[Task], results: Results, jobs: int, trials: Path) -> Iterator[tuple[Task, Result]]:
    """Every search, those that are known first; what it takes to run the others is only prepared for these."""
    known = results.known()
    yield from ((task, known[task]) for task in tasks if task in known)
    if missing := [task for task in tasks if task not in known]:
        global _surrogate
        _surrogate = Surrogate.fit(trials)
        with multiprocessing.get_context("fork").Pool(jobs) as pool:
            for number, (task, result) in enumerate(pool.imap_unordered(_one, missing), 1):
                results.add(task, result)
                print(f"\r{number} of {len(missing)} searches", end="", file=sys.stderr, flush=True)
                yield task, result
        print(file=sys.stderr)


def _row(name: str, results: Sequence[Result], goal: float | None) -> str:
    cells = []
    for index in range(len(BUDGETS)):
        low, middle, high = np.quantile([result.true[index] for result in results], (0.25, 0.5, 0.75))
        cells.append(f"{middle:.5f} ({low:.5f}-{high:.5f})")
    optimism = [result.optimism[-1] for result in results]
    error = f" ± {np.std(optimism, ddof=1) / math.sqrt(len(optimism)):.5f}" if len(optimism) > 1 else ""
    cells.append(f"{np.mean(optimism):.5f}{error}")
    raced = any(result.saved for result in results)
    saved, stopped, entrants = _racing(results)
    cells.append(f"{100 * saved:.1f} %" if raced else "-")
    cells.append(f"{100 * stopped / entrants:.1f} % ({stopped}/{entrants})" if raced else "-")
    boxes = boxes_to(goal, results)
    cells.append(
        "-" if goal is None or not results[0].trace else f"not in {BUDGETS[-1]}" if boxes is None else str(boxes)
    )
    return f"| {name} | " + " | ".join(cells) + " |"


def _racing(results: Iterable[Result]) -> tuple[float, int, int]:
    """Share of the births' box time that was saved; would-be entrants that were stopped; all would-be entrants."""
    saved, births, stopped, entrants = 0.0, 0.0, 0, 0
    for result in results:
        saved, births = saved + result.saved, births + result.births
        stopped, entrants = stopped + result.stopped_entrants, entrants + result.entrants
    return saved / births if births else 0.0, stopped, entrants


def boxes_to(goal: float | None, results: Sequence[Result]) -> int | None:
    """Whole boxes until the median true value of the best individual is at or under the goal."""
    length = min(len(result.trace) for result in results)
    if goal is None or not length:
        return None
    below = np.nonzero(np.median([result.trace[:length] for result in results], axis=0) <= goal)[0]
    return int(below[0]) + 1 if len(below) else None


def _final(results: Sequence[Result]) -> float:
    return float(np.median([result.true[-1] for result in results]))


def _goals(results: Mapping[str, Sequence[Result]]) -> list[str]:
    """How far "evolve" meets each goal; only where all that it is compared with were run."""
    lines = []
    own = results["evolve"]
    singles = {name: _final(one) for name, one in results.items() if name in SINGLE}
    if len(singles) == len(SINGLE):
        best = min(singles, key=lambda name: singles[name])
        gap = _final(own) - singles[best]
        text = f"true value at {BUDGETS[-1]} boxes {_final(own):.5f}, best single method ({best}) {singles[best]:.5f}"
        lines.append(f"{text}: {_met(gap <= 0)}, by {abs(gap):.5f}")
    if "greedy" in results:
        goal = _final(results["greedy"])
        need, boxes = boxes_to(goal, results["greedy"]), boxes_to(goal, own)
        if need is not None:
            text = f"greedy's own final value {goal:.5f} reached in {boxes} boxes, greedy needs {need}"
            lines.append(f"{text}: at most half of them {_met(boxes is not None and boxes <= need / 2)}")
    optimism = float(np.mean([result.optimism[-1] for result in own]))
    lines.append(f"optimism {optimism:.5f}: under 0.0001 {_met(optimism < 0.0001)}")
    saved, stopped, entrants = _racing(own)
    lines.append(f"racing saves {100 * saved:.1f} % of the births' box time: at least 25 % {_met(saved >= 0.25)}")
    births = sum(result.births for result in own)
    leads = [lead for result in own for lead in result.leads]
    touches = [touched for result in own for touched in result.touches]
    late, early = (100 * best_saving(leads, one, BOUND) / births for one in (touches, [False] * len(leads)))
    lines.append(
        f"on these births the best possible rule, which knows the law of the curves, would save {late:.1f} % "
        f"({early:.1f} % if it could judge edits of the schedule from the start on)"
    )
    lines.append(
        f"of would-be entrants {100 * stopped / entrants:.2f} % are stopped ({stopped}/{entrants}): at most "
        f"{100 * BOUND:g} % {_met(stopped <= BOUND * entrants)}"
    )
    return lines


def _met(yes: bool) -> str:
    return "met" if yes else "NOT met"


def main() -> None:
    parser = make_parser("search", __doc__)
    add_table(parser, COLUMNS)
    parser.add_argument("--seeds", type=whole(), default=20, metavar="N", help="searches of each method (20)")
    parser.add_argument("--jobs", type=whole(), default=1, metavar="N", help="searches at once (1)")
    parser.add_argument("--results", type=Path, metavar="FILE", help="keep finished searches here and go on from them")
    names = [*SINGLE, *(name for name in ENGINE if name not in SINGLE)]
    parser.add_argument("--methods", nargs="*", choices=names, default=names, help="of these (all)")
    options = parser.parse_args()
    print(f"{processor()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}", file=sys.stderr)
    # By seed first: an interrupted benchmark has a few seeds of all methods, not all seeds of a few methods.
    tasks = [(name, seed) for seed in range(options.seeds) for name in options.methods]
    found = dict(_searches(tasks, Results(options.results, options.trials), options.jobs, options.trials))
    results = {name: [found[name, seed] for seed in range(options.seeds)] for name in options.methods}
    goal = _final(results["greedy"]) if "greedy" in results else None
    print(f"{options.seeds} seeds; median (quartiles) of the true BPB of what is reported\n")
    budgets = " | ".join(f"{budget} boxes" for budget in BUDGETS)
    print(f"| method | {budgets} | optimism at {BUDGETS[-1]} | box time saved | entrants stopped | boxes to greedy's |")
    print("|---|" + "---|" * (len(BUDGETS) + 4))
    for name, ones in results.items():
        print(_row(name, ones, goal))
    if "evolve" in results:
        print("\n" + "\n".join(f"- {line}" for line in _goals(results)))


if __name__ == "__main__":
    main()
