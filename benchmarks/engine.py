"""What the framework itself costs: `python -m benchmarks.engine`.

The trial is a function (or, for the first row, a real run of the CPU arena); engine, operators, archive
and git are the real ones. Prints a table in Markdown.
"""

from __future__ import annotations

import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from benchmarks.options import make_parser, seconds, whole
from evolve import arena
from evolve.archive.repository import Archive
from evolve.engine import Evolution, search
from evolve.evaluation.executors import LocalExecutor, local_slots
from evolve.evaluation.trial import Trial
from evolve.individual import Individual, Offspring, Outcome
from evolve.machine import processor
from evolve.rundir import RunDirectory
from evolve.toolbox import make_toolbox
from evolve.trials import TrialMaker, prepare
from evolve.variation.merge_driver import install
from tests.stub import TOY, Never, Silent, evaluate

GENOME_BYTES = 25_000


def cpu_seconds() -> float:
    """CPU time of this process and of its children, the living ones (git's) included."""
    ended = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    children = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
    # Fields 14 to 17 of stat: user and system time of the process and of the children it waited for.
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15] for pid in children]
    living = sum(int(ticks) for four in fields for ticks in four) / os.sysconf("SC_CLK_TCK")
    return living + sum(usage.ru_utime + usage.ru_stime for usage in ended)


def large_genome() -> str:
    """The toy genome with constants and functions added up to 25 KB: what git and the parser see of a real one."""
    text = (TOY / "train.py").read_text(encoding="utf-8")
    constants = [f"RATE_{number} = 0.5  # range: 0.01..1 log\n" for number in range(20)]
    text = text.replace("\n\ndef score", "".join(constants) + "\n\ndef score", 1)
    rng = random.Random(0)
    number = 0
    while len(text) < GENOME_BYTES:
        lines = [f"    value{rng.randrange(10**6)} = x * {rng.random():.4f} + {rng.randrange(10**6)}" for _ in range(9)]
        text += "\n\ndef " + f"part_{number}(x):\n" + "\n".join(lines) + "\n    return x\n"
        number += 1
    return text


class Clocked(Silent):
    """Notes wall and CPU time whenever a given number of individuals has been told."""

    def __init__(self, marks: list[int]) -> None:
        self.marks = dict.fromkeys(marks, (0.0, 0.0))
        self._told = 0

    def told(self, individual: Individual, outcome: Outcome) -> None:
        self._told += 1
        if self._told in self.marks:
            self.marks[self._told] = (time.perf_counter(), cpu_seconds())


def framework(folder: Path, individuals: int) -> list[tuple[str, str]]:
    """Rows about a search of `individuals` stub trials with one worker."""
    toy = arena.load(str(TOY))
    directory = RunDirectory(folder)
    state = {"arena": "toy", "script": "train.py", "metric": "val_bpb", "direction": "min", "corpus": "", "seed": 1}
    archive = Archive.create(directory.archive, {**state, "time_box": toy.time_box})
    install(directory.archive)
    archive.add(Offspring(large_genome(), (), "seed", "The seed genome", 0))
    toolbox = make_toolbox(archive)
    toolbox.register("evaluate", evaluate)
    no_data = TrialMaker(toy, prepare(toy), directory)
    evolution = Evolution(archive, toolbox, no_data, pop=8, gens=individuals // 8, seed=1)
    windows = [(0, 100)] + [(end - 100, end) for end in (1_000, 2_000, 5_000, 10_000) if end <= individuals]
    clock = Clocked([mark for window in windows for mark in window])
    clock.marks[0] = (time.perf_counter(), cpu_seconds())
    with ThreadPoolExecutor(1) as executor:
        search(evolution, executor, 1, clock, Never())
    wall = time.perf_counter() - clock.marks[0][0]
    archive.maintain(wait=True)
    archive.close()
    cpu = cpu_seconds() - clock.marks[0][1]
    rows = []
    for first, last in windows:
        milliseconds = 1e3 * (clock.marks[last][1] - clock.marks[first][1]) / (last - first)
        rows.append((f"framework CPU per individual, {first} to {last}", f"{milliseconds:.1f} ms"))
    rows += [
        (
            f"framework CPU per individual, all {individuals}, git's packing included",
            f"{1e3 * cpu / individuals:.1f} ms",
        ),
        ("births per second, one worker, stub trials", f"{individuals / wall:.0f}"),
        ("peak memory of the engine", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB"),
    ]
    git = ["git", "-C", str(directory.archive)]
    subprocess.run([*git, "gc", "--quiet"], check=True)
    total = sum(file.stat().st_size for file in directory.archive.rglob("*") if file.is_file())
    curves = _curve_bytes(git)
    rows += [
        (
            f"archive per individual after packing, {GENOME_BYTES / 1e3:.0f} KB genome",
            f"{total / individuals:.0f} bytes",
        ),
        ("of which learning curves and last lines", f"{curves / individuals:.0f} bytes"),
    ]
    began = time.perf_counter()
    with Archive.open(directory.archive, write=True) as archive:
        resumed = Evolution(archive, make_toolbox(archive), no_data, pop=8, gens=individuals // 8, seed=1)
        seconds = time.perf_counter() - began
    if resumed.evaluations != evolution.evaluations:
        raise RuntimeError(f"{resumed.evaluations} evaluations after resume, {evolution.evaluations} before")
    return [*rows, (f"resume at {individuals} individuals", f"{seconds:.2f} s")]


def _curve_bytes(git: list[str]) -> int:
    listing = subprocess.run([*git, "ls-tree", "-r", "refs/notes/curves"], capture_output=True, text=True, check=True)
    blobs = "\n".join(line.split()[2] for line in listing.stdout.splitlines())
    sizes = subprocess.run(
        [*git, "cat-file", "--batch-check=%(objectsize:disk)"], input=blobs, capture_output=True, text=True, check=True
    )
    return sum(int(line) for line in sizes.stdout.split())


def overhead(folder: Path, trials: int, box: float) -> list[tuple[str, str]]:
    """Rows about real trials of the CPU arena: what each spends outside its box, scoring apart."""
    cpu = replace(arena.load("gpt_cpu"), time_box=box)
    data = prepare(cpu)
    directory = RunDirectory(folder)
    state = {"arena": cpu.name, "script": cpu.script, "metric": cpu.metric, "direction": "min", "corpus": ""}
    archive = Archive.create(directory.archive, {**state, "seed": 1, "time_box": box})
    archive.add(Offspring(cpu.seed_genome, (), "seed", "The seed genome", 0))
    maker = TrialMaker(cpu, data, directory)
    evolution = Evolution(archive, make_toolbox(archive), maker, pop=trials, gens=1, seed=1)

    class Stopwatch(Silent):
        """From the launch of a trial to its outcome in the archive, less training and scoring."""

        def __init__(self) -> None:
            self.began: dict[tuple[int, int], float] = {}
            self.outside: list[float] = []

        def launched(self, trial: Trial) -> None:
            self.began[trial.individual, trial.replicate] = time.perf_counter()

        def told(self, individual: Individual, outcome: Outcome) -> None:
            inside = sum(outcome.seconds.get(part, 0.0) for part in ("training", "scoring", "again"))
            self.outside.append(time.perf_counter() - self.began[outcome.individual, outcome.replicate] - inside)

    watch = Stopwatch()
    slots = local_slots(None, cpu.cores)
    with archive, LocalExecutor(slots) as executor:
        search(evolution, executor, len(slots), watch, Never())
    first, rest = watch.outside[0], watch.outside[1:]
    return [
        (f"outside the box and scoring, mean of {len(rest)} real trials", f"{sum(rest) / len(rest):.3f} s"),
        ("the same for the first trial, which starts the warm parent", f"{first:.2f} s"),
    ]


def main() -> None:
    parser = make_parser("engine", __doc__)
    parser.add_argument("--individuals", type=whole(), default=10_000, metavar="N", help="stub trials (10000)")
    parser.add_argument("--trials", type=whole(), default=20, metavar="N", help="real trials of the CPU arena (20)")
    parser.add_argument(
        "--box", type=seconds, default=2.0, metavar="SECONDS", help="time box of the real trials, in seconds (2)"
    )
    options = parser.parse_args()
    print(f"{processor()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}", file=sys.stderr)
    print("| what | measured |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        # The real trials come last: their CPU time must not be counted as the framework's.
        for name, value in framework(Path(folder) / "stub", options.individuals):
            print(f"| {name} | {value} |", flush=True)
        for name, value in overhead(Path(folder) / "real", options.trials, options.box):
            print(f"| {name} | {value} |", flush=True)


if __name__ == "__main__":
    main()
