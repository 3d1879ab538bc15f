"""The command line of operations on a lineage; heavy imports wait until one of them runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from evolve.arguments import ARENA, REF, RUN

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
    parser.add_argument("RUN", help=RUN)
    parser.add_argument("REF", help=REF)
    parser.add_argument("--replicates", metavar="K", type=int, default=4, help="runs of each genome (4)")
    parser.add_argument("--workers", metavar="N", type=int, help="evaluations at once (as many as cores allow)")
    parser.add_argument("--arena", metavar="PATH", help=ARENA)
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
        "A step is taken out by the statement merge run backwards. Statements that later steps changed again stay as\n"
        "they are, and are named with those steps; a step of which nothing else is left is a conflict, and not\n"
        "evaluated. What is evaluated becomes an individual of its own (d0, d1, ...: `show` it), which no search sees.",
    )


def _ablate(options: Options) -> int:
    from evolve.lineages.ablate import ablate
    from evolve.lineages.tables import ablation_lines

    with _place(options) as place:
        result = ablate(place, options.REF, options.replicates)
        return _print(place, ablation_lines(result), result.missing)


def _prune_parser() -> argparse.ArgumentParser:
    return _measuring(
        "prune",
        "Drop the steps of REF's lineage that do not carry their weight, and make the smallest genome within noise of\n"
        "REF the branch pruned/ID, with its diff against the seed genome.",
        "First every step is ablated; one whose loss is beyond noise stays. The others are dropped one after the\n"
        "other, those that contribute least first, as long as what is left is not beyond noise worse than REF, each\n"
        "time on new seeds; a step in conflict comes up again when what changed it is gone. Then the result is\n"
        "compared with REF on twice as many seeds that nothing was chosen by.",
    )


def _prune(options: Options) -> int:
    from evolve.lineages.prune import prune
    from evolve.lineages.tables import pruning_lines

    with _place(options) as place:
        return _print(place, pruning_lines(prune(place, options.REF, options.replicates)), 0)


def _transfer_parser() -> argparse.ArgumentParser:
    parser = _measuring(
        "transfer",
        "Carry the steps of REF's lineage over to another script, size or time box, evaluate both ends there and\n"
        "both ends where they were found, on fresh seeds, and print how much of the gain comes along.",
        "Example: transfer RUN champion --set DEPTH=12 --set WIDTH=768 --time-box 600\n\n"
        "Each step is merged into the new base by statement. Where the base differs from what a step changed, the\n"
        "step is left out and reported; with --squash all steps are merged at once, and such statements stay as\n"
        "the base has them. What --set fixes stays as set. Scores of different boxes or sizes are not compared,\n"
        "only gains.",
    )
    parser.add_argument("--onto", metavar="SCRIPT", help="another base script (the first of the lineage)")
    parser.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="a constant of the base; may be repeated"
    )
    parser.add_argument("--time-box", metavar="S", type=float, help="seconds of training there (as in the search)")
    parser.add_argument("--squash", action="store_true", help="merge all steps as one")
    return parser


def _transfer(options: Options) -> int:
    from evolve.lineages.tables import transfer_lines
    from evolve.lineages.transfer import transfer

    with _place(options) as place:
        result = transfer(
            place,
            options.REF,
            onto=options.onto,
            settings=options.set,
            squash=options.squash,
            time_box=options.time_box,
            replicates=options.replicates,
        )
        code = _print(place, transfer_lines(result), result.missing)
        return code or (2 if result.failed else 0)


def _bundle_parser() -> argparse.ArgumentParser:
    parser = _parser(
        "bundle",
        "Write the lineage of REF for another person: FILE.bundle is an archive of REF and all its ancestors with\n"
        "their evaluations, for `git clone --mirror`; any other name is a folder with the script, a README with the\n"
        "figures, and the steps as patches.",
        "Exchanges with language models are left out.\n",
    )
    parser.add_argument("RUN", help=RUN)
    parser.add_argument("REF", help=REF)
    parser.add_argument("FILE", help="a name ending in .bundle, or a folder that does not exist")
    parser.add_argument("--arena", metavar="PATH", help=ARENA)
    return parser


def _bundle(options: Options) -> int:
    from evolve.lineages.bundle import bundle

    print(bundle(options.RUN, options.REF, options.FILE, options.arena))
    return 0


def _import_parser() -> argparse.ArgumentParser:
    parser = _parser(
        "import",
        "Make an archive of a keep-or-discard search: a repository whose commits edit one script, and a log with the\n"
        "tab-separated columns commit, val_bpb, memory_gb, status, description.",
        "Commits of the branch (first parents) that change the script become individuals, with the scores of their\n"
        "rows; so do logged commits beside it that still exist. Rows whose commit does not are kept as ideas that\n"
        "were tried, for the prompts of a search that goes on. Then status, show, replay, ablate, prune, transfer,\n"
        "and a search with --out DIR work on it. The repository is only read; nothing in it is executed.\n",
    )
    parser.add_argument("PATH", help="the repository: a work tree or a bare one")
    parser.add_argument("--branch", metavar="B", help="a branch, a tag or a commit (what is checked out)")
    parser.add_argument("--results", metavar="FILE", help="the log (results.tsv in PATH, where there is one)")
    parser.add_argument("--script", metavar="FILE", help="the script, as a path inside PATH (train.py)")
    parser.add_argument("--out", metavar="DIR", help="the run's folder (runs/NAME, by the repository's name)")
    parser.add_argument("--arena", metavar="PATH", help="how to evaluate (run the script, read what it prints)")
    parser.add_argument("--time-box", metavar="S", type=float, help="seconds of training (the arena's, or 300)")
    return parser


def _import(options: Options) -> int:
    from evolve.lineages.adopt import adopt

    told = adopt(
        options.PATH,
        branch=options.branch,
        results=options.results,
        script=options.script,
        out=options.out,
        arena=options.arena,
        time_box=options.time_box,
    )
    print(told)
    return 0


def _place(options: Options) -> AbstractContextManager[Workplace]:
    from evolve.measuring import Workplace

    return Workplace.open(options.RUN, arena=options.arena, workers=options.workers)


def _print(place: Workplace, lines: Sequence[str], missing: int) -> int:
    from evolve.lineages.tables import missing_lines

    for line in ["", *lines, *missing_lines(missing)]:
        place.console.print(line, markup=False, soft_wrap=True)
    return place.exit_code


COMMANDS: dict[str, tuple[Callable[[], argparse.ArgumentParser], Callable[[Options], int]]] = {
    "replay": (_replay_parser, _replay),
    "ablate": (_ablate_parser, _ablate),
    "prune": (_prune_parser, _prune),
    "transfer": (_transfer_parser, _transfer),
    "bundle": (_bundle_parser, _bundle),
    "import": (_import_parser, _import),
}
