"""`evolve confirm`: more fresh runs of chosen individuals and of the seed genome, added to what is there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence

from rich.console import Console

from evolve import arena as arenas
from evolve.archive.repository import Archive
from evolve.arena import Arena
from evolve.confirmation import Pair
from evolve.engine import Evolution, search
from evolve.errors import UserError
from evolve.evaluation.executors import LocalExecutor, slots_on
from evolve.individual import CHOICE, FRESH, Individual
from evolve.monitor import LiveMonitor, PlainMonitor
from evolve.run import TrialMaker, prepare, require_corpus
from evolve.rundir import EngineLock, RunDirectory
from evolve.stop import StopSignals
from evolve.summary import champion_lines, locked_lines
from evolve.toolbox import make_toolbox


def confirm(run: str, refs: Sequence[str], replicates: int, workers: int | None) -> int:
    """Run each of `refs` (none: the champion) and the seed genome `replicates` more times on fresh seeds.

    Prints what all the fresh runs there are say of each. Returns the exit code. Raises UserError.
    """
    if not 1 <= replicates < CHOICE:
        raise UserError(f"--replicates {replicates} must be a whole number from 1 to {CHOICE - 1}.")
    console = Console(highlight=False)
    directory = RunDirectory.find(run)
    chosen: list[Individual] = []

    def pairs(archive: Archive) -> list[Pair]:
        named = [archive.resolve(ref) for ref in refs or ["champion"]]
        chosen.extend({one.id: one for one in [*named, archive.individuals[0]]}.values())
        return further_runs(chosen, replicates)

    def report(evolution: Evolution, arena: Arena) -> None:
        _report(console, evolution, chosen, arena, directory)

    return 130 if run_pairs(directory, console, pairs, workers, report) else 0


def run_pairs(
    directory: RunDirectory,
    console: Console,
    pairs: Callable[[Archive], Sequence[Pair]],
    workers: int | None,
    report: Callable[[Evolution, Arena], None],
    *,
    thorough: bool = False,
) -> bool:
    """Run chosen evaluations of an archive's individuals, archive them, and let `report` tell what came of them.

    `pairs` chooses; `thorough`: every score is computed again. Returns whether the user stopped it at once.
    Raises UserError.
    """
    with EngineLock(directory), Archive.open(directory.archive, write=True) as archive:
        state = archive.read_state()
        arena = arenas.of_run(state)
        data = prepare(arena)
        require_corpus(state["corpus"], data, directory)
        wanted = pairs(archive)
        shutil.rmtree(directory.trials, ignore_errors=True)  # left by an engine that was killed
        slots = slots_on(arena.device, workers, arena.cores)
        evolution = Evolution(
            archive,
            make_toolbox(archive),
            TrialMaker(arena, data, directory),
            pop=state.get("pop", len(archive.individuals)),
            gens=0,
            seed=state["seed"],
            confirm=0,
            flagged=arena.flagged,
            thorough=thorough,
        )
        evolution.request(wanted)
        monitor_type = LiveMonitor if console.is_terminal else PlainMonitor
        with (
            StopSignals() as stop,
            LocalExecutor(slots) as executor,
            monitor_type(evolution, len(slots), stop, console) as monitor,
        ):
            search(evolution, executor, len(slots), monitor, stop)
        report(evolution, arena)
    return stop.now


def further_runs(individuals: Sequence[Individual], replicates: int) -> list[Pair]:
    """The next `replicates` fresh runs of each, interleaved so that a drift of the machine hits all alike."""
    done = {one.id: one.done for one in individuals}
    free = {one.id: [FRESH + k for k in range(2 * CHOICE) if FRESH + k not in done[one.id]] for one in individuals}
    return [(one.id, free[one.id][k]) for k in range(replicates) for one in individuals]


def _report(
    console: Console, evolution: Evolution, individuals: Sequence[Individual], arena: Arena, directory: RunDirectory
) -> None:
    seed, champion = evolution.seed_individual, evolution.champion
    noise = evolution.estimates.noise
    for one in individuals if len(individuals) == 1 else [one for one in individuals if one is not seed]:
        title = "Champion" if one is champion else "Individual"
        lines = champion_lines(one, seed, noise, arena.metric, arena.direction, directory.path, title)
        lines += locked_lines(one, seed) if one is champion else []
        console.print("\n" + "\n".join(lines), markup=False, soft_wrap=True)
    if champion is not None:
        console.print(f"\nThe branch champion is #{champion.id}.", markup=False)
