"""What language models cost a search beyond their own time: `python -m benchmarks.llm`.

One worker, boxes that sleep, a real HTTP server that answers after a while; engine, writer, archive and git
are the real ones, on a genome of 25 KB. Prints a table in Markdown.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from pytest_httpserver import HTTPServer

from benchmarks.engine import large_genome
from benchmarks.options import make_parser, seconds, whole
from evolve import arena
from evolve.archive.repository import Archive
from evolve.breeding import Operators
from evolve.engine import Evolution, search
from evolve.evaluation.trial import Trial
from evolve.individual import Offspring, Outcome
from evolve.llm.budget import Budget
from evolve.llm.ensemble import Ensemble
from evolve.llm.model import Model
from evolve.llm.prompting import Prompts
from evolve.llm.writer import Options, Writer
from evolve.rundir import RunDirectory
from evolve.toolbox import make_toolbox
from evolve.trials import Data, TrialMaker
from tests.llm.server import ModelServer, narrow
from tests.stub import TOY, Never, Silent, evaluate


class Boxes:
    """An evaluation that takes a while, and when each began and ended."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.times: list[tuple[float, float]] = []

    def __call__(self, trial: Trial) -> Outcome:
        began = time.monotonic()
        time.sleep(self._seconds)
        outcome = evaluate(trial)
        self.times.append((began, time.monotonic()))
        return outcome

    def figures(self) -> tuple[float, float]:
        """Share of the time from the second birth's box on in which the worker was busy; mean gap in ms."""
        times = self.times[2:]  # the seed genome, and the first offspring, for which nothing could be written ahead
        busy = sum(end - began for began, end in times) / (times[-1][1] - self.times[1][1])
        gaps = [later[0] - earlier[1] for earlier, later in zip(self.times[1:], times, strict=False)]
        return busy, 1000 * sum(gaps) / len(gaps)


def measure(box: float, wait: float, births: int, operators: bool) -> str:
    """A row of the table."""
    toy = replace(arena.load(str(TOY)), time_box=box)
    with HTTPServer(threaded=True) as http, tempfile.TemporaryDirectory() as folder:
        server = ModelServer(http, {"a": narrow}, wait=wait)
        directory = RunDirectory(Path(folder))
        state = {"arena": "toy", "script": "train.py", "metric": "val_bpb", "direction": "min", "corpus": "", "seed": 1}
        archive = Archive.create(directory.archive, state | {"time_box": box})
        archive.add(Offspring(large_genome(), (), "seed", "A seed genome of 25 KB", 0))
        toolbox = make_toolbox(archive)
        boxes = Boxes(box)
        toolbox.register("evaluate", boxes)
        evolution = Evolution(
            archive, toolbox, TrialMaker(toy, Data("", "", ""), directory), pop=8, gens=-(-births // 8), seed=1
        )
        writer = Writer(
            archive,
            toy,
            Ensemble([Model("a")], {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": server.url}),
            Budget(),
            Options(Prompts(), ahead=3),
            seed=1,
            operators=Operators() if operators else None,
            dry_run=None,
            say=print,
            give_up=print,
        )
        evolution.sources = [writer]
        cpu = time.process_time()
        with ThreadPoolExecutor(1) as pool:
            search(evolution, pool, 1, Silent(), Never())
        cpu = time.process_time() - cpu
        writer.close()
        by_model = sum(one.model is not None for one in archive.individuals.values())
        archive.close()
    busy, gap = boxes.figures()
    who = "with catalogue" if operators else "--llm-only"
    figures = [f"{wait:g} s", f"{box:g} s", who, f"{by_model}/{births}", f"{busy:.1%}", f"{gap:.0f} ms"]
    return f"| {' | '.join(figures)} | {1000 * cpu / births:.0f} ms |"


def main() -> None:
    parser = make_parser("llm", __doc__)
    parser.add_argument("--births", type=whole(), default=24, metavar="N", help="of each row, a multiple of 8 (24)")
    parser.add_argument("--box", type=seconds, default=2.0, metavar="SECONDS", help="a box that sleeps (2)")
    births, box = (options := parser.parse_args()).births, options.box
    print(
        "| a reply takes | box | | births by the model | worker busy | gap between boxes | CPU a birth, server's too |"
    )
    print("|---|---|---|---|---|---|---|")
    for wait, operators in ((0.5 * box, False), (2 * box, False), (5 * box, True)):
        print(measure(box, wait, births, operators), flush=True)


if __name__ == "__main__":
    main()
