"""What the integrity of the score costs: `python -m benchmarks.integrity`.

Real trials of the CPU arena on one core, in the sandbox that this machine has. Prints a table in Markdown.
"""

from __future__ import annotations

import math
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.options import make_parser, seconds, whole
from evolve import arena
from evolve.evaluation.executors import LocalExecutor, local_slots
from evolve.evaluation.worker import run_trial
from evolve.flags import new_flags
from evolve.individual import Outcome
from evolve.machine import processor
from evolve.rundir import RunDirectory
from evolve.trials import TrialMaker, prepare

# A branch on what the tokens are cannot be traced: the model is then rebuilt from its code.
NO_GRAPH = ("        x = first = norm", "        assert int(tokens.min()) >= 0\n        x = first = norm")


def trials(folder: Path, count: int, box: float) -> list[tuple[str, str]]:
    """Rows about trials without a second scoring, and with one as a graph and by the code."""
    cpu = replace(arena.load("gpt_cpu"), time_box=box)
    maker = TrialMaker(cpu, prepare(cpu), RunDirectory(folder))
    plain = replace(maker.dry(cpu.seed_genome, 0), bar=None)
    kinds = {
        "": plain,
        "graph": replace(plain, bar=math.inf),
        "code": replace(plain, bar=math.inf, source=plain.source.replace(*NO_GRAPH)),
    }
    with LocalExecutor(local_slots(1, 1)) as executor:
        executor.submit(run_trial, plain).result()  # starts the warm parent
        runs = {
            kind: [executor.submit(run_trial, trial).result() for _ in range(count)] for kind, trial in kinds.items()
        }
    for kind, outcomes in runs.items():
        wrong = [one for one in outcomes if one.verified != kind]
        if wrong:
            raise RuntimeError(f"a trial ended otherwise than meant: {wrong[0].status}, {wrong[0].reason}")
    own = _mean(runs[""], lambda one: one.seconds["scoring"])
    rows = [("scoring in the genome's process, with all tests", f"{own:.2f} s")]
    for kind, name in (("graph", "as a graph and by its code"), ("code", "by its code, after the attempt at a graph")):
        export = _mean(runs[kind], lambda one: one.seconds["scoring"]) - own
        again = _mean(runs[kind], lambda one: one.seconds["again"])
        apart = max(abs(one.score - one.reported) for one in runs[kind] if one.score and one.reported)
        rows += [
            (f"handing the model over, {name}", f"{export:.2f} s"),
            (f"scoring it again, {name}", f"{again:.2f} s"),
            (f"largest difference of the two scores, {name}", f"{apart:.1e} BPB"),
        ]
    startup = _mean(runs[""], lambda one: one.seconds["startup_cpu"])
    return [*rows, ("CPU time before the clock opens", f"{startup:.2f} s")]


def _mean(outcomes: list[Outcome], of: Callable[[Outcome], float]) -> float:
    return statistics.fmean(map(of, outcomes))


def flags() -> list[tuple[str, str]]:
    """Rows about looking for what an edit touches."""
    seed = arena.load("gpt_cpu").seed_genome
    edits = {
        "a constant": seed.replace("WIDTH = 64", "WIDTH = 96"),
        "a statement that is parsed": seed.replace("    return F.rms_norm", "    x.grad = None\n    return F.rms_norm"),
        "an import": seed.replace("import torch\n", "import os\nimport torch\n", 1),
    }
    return [(f"flags of an edit: {name}", f"{1e3 * _seconds(seed, edit):.1f} ms") for name, edit in edits.items()]


def _seconds(parent: str, child: str, repeats: int = 20) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        new_flags(child, [parent])
    return (time.perf_counter() - began) / repeats


def main() -> None:
    parser = make_parser("integrity", __doc__)
    parser.add_argument("--trials", type=whole(), default=5, metavar="N", help="of each kind (5)")
    parser.add_argument("--box", type=seconds, default=2.0, metavar="SECONDS", help="time box, in seconds (2)")
    options = parser.parse_args()
    print(f"{processor()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}", file=sys.stderr)
    print("| what | measured |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, value in [*flags(), *trials(Path(folder), options.trials, options.box)]:
            print(f"| {name} | {value} |", flush=True)


if __name__ == "__main__":
    main()
