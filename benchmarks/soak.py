"""A search under random faults: `python -m benchmarks.soak`.

Real engine, real processes, real archive; the trials are those of the toy arena. Before that, engines that end
before any one of their writes to an archive, killed and without power. Prints a table in Markdown, and exits with 1
where anything was lost, doubled, left behind or not said.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.options import make_parser, whole
from evolve.machine import processor
from tests.weather.storm import Storm
from tests.weather.test_every_write import check, grow_archive, live_and_die, operations

DISK = "256m"


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """`folder` as a file system of its own; False where this user may not mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def every_write(folder: Path) -> int:
    """End an engine before each of its writes, both ways; gives their number. Raises where one left something wrong."""
    grown = grow_archive(folder / "grown.git")
    shutil.copytree(grown, folder / "count.git")
    count = operations(folder / "count.git")
    for power in (False, True):
        for end_at in range(1, count + 1):
            path = folder / "a.git"
            shutil.copytree(grown, path)
            check(path, live_and_die(path, end_at, power=power), power=power)
            shutil.rmtree(path)
    return 2 * count


def main() -> int:
    parser = make_parser("soak", __doc__)
    parser.add_argument(
        "--trials", type=whole(), default=2500, metavar="N", help="evaluations in all, or a few more (2500)"
    )
    parser.add_argument(
        "--calm", type=whole(0), default=500, metavar="N", help="of them, the last ones, undisturbed: memory (500)"
    )
    parser.add_argument("--seed", type=whole(0), default=1, metavar="N", help="of the faults (1)")
    options = parser.parse_args()
    print(f"{processor()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}", file=sys.stderr)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ends = every_write(folder)
        with small_disk(folder / "disk") as own_disk:
            storm = Storm(folder / "disk", options.seed, own_disk=own_disk)
            storm.run(
                lambda figures: figures.trials >= options.trials - options.calm,
                lambda text: print(text, file=sys.stderr, flush=True),
            )
            storm.rest(options.calm)
            figures = storm.figures
    memory = figures.memory or [0.0]
    rows = {
        "engines ended before one of their writes to an archive": ends,
        "trials": figures.trials,
        "individuals": figures.individuals,
        "faults": figures.faults.total(),
        **{f"- {name}": count for name, count in sorted(figures.faults.items())},
        "lost": figures.lost,
        "doubled": figures.doubled,
        "orphans": len(figures.orphans),
        "`git fsck` not clean": figures.unsound,
        "ends without the right exit code and sentence": len(figures.untold),
        f"engine's memory over its last {options.calm} trials": f"{memory[0]:.1f} to {memory[-1]:.1f} MB",
        "minutes": f"{(time.monotonic() - began) / 60:.1f}",
    }
    print("| what | measured |\n|---|---|")
    for row, value in rows.items():
        print(f"| {row} | {value} |")
    for text in figures.untold + figures.orphans:
        print(text, file=sys.stderr)
    bad = figures.lost + figures.doubled + len(figures.orphans) + figures.unsound + len(figures.untold)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
