"""What looking at a run costs: `python -m benchmarks.analysis`.

The archives are made without an engine, with learning curves of 60 points, crossovers, failures, and an exchange with a
language model for every third offspring. Prints a table in Markdown.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from analysis import figures, load
from analysis.layout import layered
from analysis.report import write
from benchmarks.options import make_parser, whole
from evolve.machine import processor
from tests.analysis.archives import fill

REPEATS = 3  # the best of them counts: others may be at work on the machine


def best(work: Callable[[], object]) -> float:
    """Seconds."""
    took = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)


def measured(folder: Path, individuals: int) -> dict[str, str]:
    """What looking at an archive of so many births costs."""
    fill(folder / "archive.git", individuals)
    frames = load(folder)
    drawn = [best(lambda draw=draw: draw(frames)) for draw in figures.FIGURES.values()]  # type: ignore[misc]
    return {
        "load": f"{best(lambda: load(folder)):.2f} s",
        "points of learning curves in it": f"{len(frames.curves):,}",
        "exchanges with language models in it": f"{len(frames.llm_calls):,}",
        "places of the lineage graph": f"{best(lambda: layered(frames)):.2f} s",
        "the slowest figure": f"{max(drawn):.2f} s",
        "report": f"{best(lambda: write(str(folder))):.2f} s",
        "its size": f"{(folder / 'report.html').stat().st_size / 1e6:.1f} MB",
    }


def main() -> None:
    parser = make_parser("analysis", __doc__)
    parser.add_argument(
        "--individuals",
        type=whole(),
        action="append",
        help="births; may be repeated (100, 2000 and 10000)",
        metavar="N",
    )
    sizes = parser.parse_args().individuals or [100, 2_000, 10_000]
    print(f"{processor()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}", file=sys.stderr)
    columns = []
    for individuals in sizes:
        with tempfile.TemporaryDirectory() as folder:
            columns.append(measured(Path(folder) / "run", individuals))
    print("| what | " + " | ".join(f"{individuals:,} individuals" for individuals in sizes) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for what in columns[0]:
        print(f"| {what} | " + " | ".join(column[what] for column in columns) + " |")


if __name__ == "__main__":
    main()
