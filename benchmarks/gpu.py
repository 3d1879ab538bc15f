"""Scripts on one NVIDIA GPU, on the same data, in one go: `python -m benchmarks.gpu [--baseline PATH]`.

Each script runs as the search runs it: once with nothing compiled, then with what that compiled, in each box, where its
model is scored again like that of whoever would enter the population. A baseline is any script that imports the
de-facto `prepare` interface; benchmarks/adapter stands in for that. Prints a table in Markdown. `--tiny` is a
rehearsal in small on the CPU, whose figures say nothing.
"""

from __future__ import annotations

import importlib.util
import math
import os
import platform
import re
import sys
import tempfile
import time
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.options import make_parser, seconds
from evolve import arena as arenas
from evolve.errors import UserError
from evolve.evaluation.environment import SOURCES
from evolve.evaluation.executors import LocalExecutor, hardware, slots_on
from evolve.evaluation.trial import Trial
from evolve.evaluation.undisturbed import run_undisturbed
from evolve.individual import Outcome, Status
from evolve.trials import SEARCH_SPLITS, Data, prepare
from tests.genomes.tiny import tiny

ADAPTER = Path(__file__).parent / "adapter"
OWN = ["train.py", "vanilla.py"]
BOXES = [60.0, 300.0]
HEAD = (
    "| script | box | BPB | tokens/s | MFU | steps | parameters | peak memory "
    "| outside the box, cold | warm | scored again |"
)


@dataclass(frozen=True)
class Script:
    """What to measure: a genome, or a baseline that scores itself."""

    name: str
    source: str
    baseline: bool


class Bench:
    """Runs scripts in a folder of its own, with one cache of compiled code for each."""

    def __init__(self, arena: arenas.Arena, data: Data, folder: Path, executor: Executor) -> None:
        self._arena = arena
        self._data = data
        self._folder = folder
        self._executor = executor

    def rows(self, script: Script, boxes: list[float]) -> list[str]:
        """Lines of the table, one a box; progress and failures go to standard error."""
        cold = self._run(script, boxes[0], cold=True)
        lines = []
        for box in boxes:
            warm = self._run(script, box, cold=False)
            lines.append(_line(script, box, warm, cold))
        return lines

    def _run(self, script: Script, box: float, *, cold: bool) -> Outcome:
        arena, environment = self._arena, {**self._arena.environment, "GPT_DATA": self._data.folder}
        if script.baseline:
            found = [ADAPTER, SOURCES, os.environ.get("PYTHONPATH", "")]
            if importlib.util.find_spec("kernels") is None:
                found.insert(1, ADAPTER / "without_kernels")
            environment["PYTHONPATH"] = os.pathsep.join(str(path) for path in found if str(path))
        trial = Trial(
            individual=-1,
            replicate=0,
            seed=0,
            source=script.source,
            script="script.py",
            folder=str(self._folder / "trial"),
            command=arena.command,
            preload=() if script.baseline else arena.preload,
            score="printed" if script.baseline else "harness",
            time_box=box,
            startup=arena.startup,
            grace=arena.grace,
            scoring=arena.scoring,
            memory_mb=arena.memory_mb,
            environment=environment,
            device=arena.device,
            opening=(self._data.parts["train"],),
            closing=tuple(self._data.parts[split] for split in SEARCH_SPLITS),
            scorer="" if script.baseline else arena.scorer,
            compiled=str(self._folder / f"compiled-{script.name}"),
            fills_cache=cold,
        )
        print(f"{script.name}, {box:g} s, {'nothing' if cold else 'already'} compiled", file=sys.stderr, flush=True)
        outcome = self._executor.submit(run_undisturbed, trial if cold else trial.always_rescored()).result()
        if outcome.status is not Status.OK:
            print(f"  {outcome.status}: {outcome.reason}\n{outcome.tail}", file=sys.stderr, flush=True)
        return outcome


def _line(script: Script, box: float, warm: Outcome, cold: Outcome) -> str:
    if warm.status is not Status.OK:
        return f"| {script.name} | {box:g} s | {warm.status}: {warm.reason} |" + " |" * 8
    seconds = warm.seconds.get("training", math.nan)
    again = f"{warm.seconds['again']:.1f} s ({warm.verified})" if warm.verified else "-"
    found = re.search(r"^mfu_percent: *([0-9.]+)", warm.tail, re.MULTILINE)
    mfu = f"{float(found[1]):.1f} %" if found and float(found[1]) else "-"
    cells = [
        script.name,
        f"{box:g} s",
        f"{warm.score:.5f}",
        f"{(warm.tokens or 0) / seconds:,.0f}",
        mfu,
        f"{warm.steps or 0:,}",
        f"{(warm.parameters or 0) / 1e6:.1f} M",
        f"{(warm.peak_memory_mb or math.nan) / 1000:.1f} GB",
        _outside(cold),
        _outside(warm),
        again,
    ]
    return f"| {' | '.join(cells)} |"


def _outside(outcome: Outcome) -> str:
    """Start-up, compilation, scoring and exit, of the time from the start to the end of the process."""
    spent = outcome.seconds.get("total", math.nan) - outcome.seconds.get("training", math.nan)
    spent -= outcome.seconds.get("again", 0.0)
    return f"{spent:.1f} s" if outcome.status is Status.OK else "-"


def main() -> int:
    parser = make_parser("gpu", __doc__)
    add = parser.add_argument
    add("--baseline", type=Path, action="append", default=[], metavar="PATH", help="one more script; repeatable")
    add(
        "--scripts",
        nargs="*",
        choices=OWN,
        default=OWN,
        metavar="NAME",
        help=f"our own ones ({' '.join(OWN)}), or none",
    )
    add(
        "--corpus",
        default="climbmix",
        metavar="NAME",
        help="as of gpt.prepare (climbmix); site-packages needs no network",
    )
    add("--boxes", type=seconds, nargs="+", default=BOXES, metavar="SECONDS", help="training times (60 300)")
    add("--tiny", action="store_true", help="a rehearsal in small on the CPU, on Python's standard library")
    options = parser.parse_args()
    arena = arenas.load("gpt_h100")
    command = ["{python}", "-m", "gpt.prepare", "--corpus", options.corpus]
    if options.tiny:
        command[-1:] = ["stdlib", "--vocab-size", "512", "--sequence-length", "64"]
        small = {"GPT_VALIDATION_TOKENS": "8192"}
        arena = replace(arena, device="cpu", cores=1, environment=small, preload=("torch", "gpt", "gpt.run"))
    own = [
        Script(name, tiny(name) if options.tiny else (arena.folder / name).read_text(encoding="utf-8"), baseline=False)
        for name in options.scripts
    ]
    try:
        foreign = [Script(path.name, path.read_text(encoding="utf-8"), baseline=True) for path in options.baseline]
        slots = slots_on(arena.device, 1, arena.cores)
        data = prepare(replace(arena, prepare=tuple(command)))
        with tempfile.TemporaryDirectory() as folder, LocalExecutor(slots) as executor:
            print(
                f"{time.strftime('%Y-%m-%d')}, {hardware(slots)}, "
                f"{len(slots[0].cores)} cores, torch {torch.__version__}, Python {platform.python_version()}, corpus "
                f"{data.name} {data.fingerprint}; `python -m benchmarks.gpu {' '.join(sys.argv[1:])}`\n"
            )
            print(HEAD + "\n" + "|---" * (HEAD.count("|") - 1) + "|", flush=True)
            bench = Bench(arena, data, Path(folder), executor)
            for script in [*own, *foreign]:
                print("\n".join(bench.rows(script, options.boxes)), flush=True)
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
