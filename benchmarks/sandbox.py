"""What the sandbox costs a trial, in every mode that works here: `python -m benchmarks.sandbox`.

A trial whose genome trains and scores nothing, from its folder to its outcome: forked from a warm parent that has
imported what the CPU arena preloads, and started as a fresh interpreter. Prints a table in Markdown; the sandbox's own
cost is the difference to the row `none`.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.options import make_parser, whole
from evolve import arena
from evolve.evaluation.trial import Trial
from evolve.evaluation.worker import run_trial
from evolve.individual import Status
from evolve.machine import processor
from evolve.sandbox.confinement import Mode
from evolve.sandbox.probe import probe

GENOME = """
import json, os
for event in (
    {"event": "start", "device": "cpu", "corpus": ""},
    {"event": "open"},
    {"event": "close", "training_seconds": 0.0, "steps": 1, "tokens": 1},
    {"event": "result", "val_bpb": 1.0},
):
    os.write(3, (json.dumps(event) + "\\n").encode())
"""


def milliseconds(trial: Trial, count: int) -> list[float]:
    """Wall time of each of `count` trials after a first one, which starts the warm parent."""
    times = []
    for _ in range(count + 1):
        began = time.perf_counter()
        outcome = run_trial(trial)
        times.append(1e3 * (time.perf_counter() - began))
        if outcome.status is not Status.OK:
            raise RuntimeError(f"a trial in mode {trial.sandbox} {outcome.status}: {outcome.reason}\n{outcome.tail}")
    return times[1:]


def main() -> None:
    parser = make_parser("sandbox", __doc__)
    parser.add_argument("--trials", type=whole(2), default=100, metavar="N", help="trials of each kind (100)")
    options = parser.parse_args()
    print(f"{processor()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}", file=sys.stderr)
    state = probe()
    missing = {Mode.BWRAP: state.bwrap or state.fork, Mode.LANDLOCK: state.landlock}
    preload = arena.load("gpt_cpu").preload
    print("| mode | forked, median (90 %) | over none | started, median (90 %) | over none |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        plain = Trial(0, 0, 0, GENOME, "train.py", str(Path(folder) / "trial"), time_box=0.0, memory_mb=4000)
        base: list[float] = []
        for mode in (Mode.NONE, Mode.LANDLOCK, Mode.BWRAP):
            if missing.get(mode):
                print(f"| {mode} | does not work here: {missing[mode]} | | | |")
                continue
            cells = []
            for number, modules in enumerate((preload, ())):
                times = milliseconds(replace(plain, sandbox=mode.value, preload=modules), options.trials)
                median, high = statistics.median(times), statistics.quantiles(times, n=10)[-1]
                if mode is Mode.NONE:
                    base.append(median)
                cells.append(f"{median:.1f} ms ({high:.1f}) | {median - base[number]:+.1f} ms")
            print(f"| {mode} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
