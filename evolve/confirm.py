"""`evolve confirm`: more fresh runs of chosen individuals and of the seed genome, added to what is there."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from evolve.arena import Arena
from evolve.confirmation import Pair
from evolve.engine import Evolution
from evolve.errors import UserError
from evolve.individual import CHOICE, FRESH, STUDY, Individual
from evolve.measuring import Workplace
from evolve.rundir import RunDirectory
from evolve.summary import champion_lines, locked_lines
from evolve.toolbox import make_toolbox


def confirm(run: str, refs: Sequence[str], replicates: int, workers: int | None) -> int:
    """Run each of `refs` (none: the champion) and the seed genome `replicates` more times on fresh seeds.

    Prints what all the fresh runs there are say of each. Returns the exit code. Raises UserError.
    """
    if not 1 <= replicates < CHOICE:
        raise UserError(f"--replicates {replicates} must be a whole number from 1 to {CHOICE - 1}.")
    with Workplace.open(run, workers=workers) as place:
        archive = place.archive
        state = archive.read_state()
        chosen = [archive.resolve(ref) for ref in refs or ["champion"]]
        for one in chosen:
            if one.derived:
                raise UserError(f"{one.name} is no individual of the search: `replay` it, and its ancestors, instead.")
        individuals = list({one.id: one for one in [*chosen, archive.individuals[0]]}.values())
        if not any(one.fitness.measured for one in archive.individuals.values()):
            raise UserError(
                f"Nothing in {run} has a score of a search that fresh runs could confirm: "
                f"`python -m evolve replay {run} {chosen[0].name.removeprefix('#')}` runs a lineage."
            )
        place.measure(further_runs(individuals, replicates))
        # Opened only now, so that the branches follow from all the runs there are.
        evolution = Evolution(
            archive,
            make_toolbox(archive),
            place.make_trial,
            pop=state.get("pop", len(individuals)),
            gens=0,
            seed=state["seed"],
            confirm=0,
        )
        _report(place.console, evolution, individuals, place.arena, place.directory)
    return place.exit_code


def further_runs(individuals: Sequence[Individual], replicates: int) -> list[Pair]:
    """The next `replicates` fresh runs of each, interleaved so that a drift of the machine hits all alike.

    Raises UserError where an individual has had nearly all there can be.
    """
    done = {one.id: one.done for one in individuals}
    free = {one.id: [k for k in range(FRESH, STUDY) if k not in done[one.id]] for one in individuals}
    if left := [one for one in individuals if len(free[one.id]) < replicates]:
        raise UserError(f"{left[0].name} has {STUDY - FRESH - len(free[left[0].id])} fresh runs: that is enough.")
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
