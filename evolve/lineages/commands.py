"""The command line of operations on a lineage; heavy imports wait until one of them runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evolve.measuring import Workplace

Options = argparse.Namespace


def run(command: str, arguments: Sequence[str]) -> int:
    """Run one of COMMANDS; returns the exit code. Raises UserError."""
    build, act = COMMANDS[command]
    return act(build().parse_args(arguments))


def _parser(command: str, description: str, epilog: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"python -m evolve {command}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _measuring(command: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """A parser of an operation that evaluates."""
    parser = _parser(command, description, f"{epilog}\n{_GOES_ON}")
    parser.add_argument("RUN", help="a run's folder, its name below runs/, or a mirror clone of an archive")
    parser.add_argument("REF", help="an individual's id, a branch (champion, elite/0) or a commit")
    parser.add_argument("--replicates", metavar="K", type=int, default=4, help="runs of each genome (4)")
    parser.add_argument("--workers", metavar="N", type=int, help="evaluations at once (as many as cores allow)")
    parser.add_argument("--arena", metavar="PATH", help="the arena's folder, where it is not known any more")
    return parser


_GOES_ON = """\
Ctrl-C lets running boxes finish and stops; the same command goes on, and a larger --replicates adds runs to those
that are there. The search, should it go on later, sees nothing of all this.
"""


def _replay_parser() -> argparse.ArgumentParser:
    return _measuring(
        "replay",
        "Evaluate every ancestor of REF again, from the seed genome on, on fresh seeds, and print what the search\n"
        "claimed against what comes back: scores, the gain of each step with a verdict, its share of the total.",
        "A lineage follows first parents; a merge is one step, its gain what came in with the second parent.\n"
        "Verdicts are by 95 % intervals of paired runs: real (above zero), within noise, harmful (below).",
    )


def _replay(options: Options) -> int:
    from evolve.lineages.replay import replay
    from evolve.lineages.tables import replay_lines

    with _place(options) as place:
        result = replay(place, options.REF, options.replicates)
        return _print(place, replay_lines(result), result.missing)


def _ablate_parser() -> argparse.ArgumentParser:
    return _measuring(
        "ablate",
        "Take each step of REF's lineage out of REF, alone, and evaluate what is left beside REF on the same seeds:\n"
        "what each idea contributes in the end.",
        "A step is taken out by the statement merge run backwards. A step whose statements later steps changed again\n"
        "is a conflict: it is reported with those steps, and not evaluated. What is evaluated becomes an individual\n"
        "of its own (d0, d1, ...: `show` it), which no search sees.",
    )


def _ablate(options: Options) -> int:
    from evolve.lineages.ablate import ablate
    from evolve.lineages.tables import ablation_lines

    with _place(options) as place:
        result = ablate(place, options.REF, options.replicates)
        return _print(place, ablation_lines(result), result.missing)


def _place(options: Options) -> AbstractContextManager[Workplace]:
    from evolve.measuring import Workplace

    return Workplace.open(options.RUN, arena=options.arena, workers=options.workers)


def _print(place: Workplace, lines: Sequence[str], missing: int) -> int:
    from evolve.lineages.tables import missing_lines

    for line in ["", *lines, *missing_lines(missing)]:
        place.console.print(line, markup=False, soft_wrap=True)
    return 130 if place.stopped else 0


COMMANDS: dict[str, tuple[Callable[[], argparse.ArgumentParser], Callable[[Options], int]]] = {
    "replay": (_replay_parser, _replay),
    "ablate": (_ablate_parser, _ablate),
}
