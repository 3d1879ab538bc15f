"""The DEAP toolbox: what `select`, `survive`, `mutate`, `mate` and `evaluate` mean in a search."""

from __future__ import annotations

from deap import base

from evolve.archive.repository import Archive
from evolve.evaluation.undisturbed import run_undisturbed
from evolve.selection import noise_aware_survivors, plain_survivors, tournament
from evolve.variation.operators import catalogue_mutation, crossover

TOURNAMENT_SIZE = 3


def make_toolbox(archive: Archive, selection: str = "noise-aware") -> base.Toolbox:
    """The default operators, on the genomes of an archive; register another under the same name to replace one.

    - `select(population, rng) -> Individual`: a parent
    - `survive(individuals, estimates, mu) -> list[Individual]`: the next population of all there are, best first;
      by shrunken estimates, or by mean scores where `selection` is "plain"
    - `mutate(parent, rng) -> Offspring`
    - `mate(fitter, other) -> Offspring`
    - `evaluate(trial) -> Outcome`: picklable, run in a worker
    """
    toolbox = base.Toolbox()
    toolbox.register("select", tournament, size=TOURNAMENT_SIZE)
    toolbox.register("survive", plain_survivors if selection == "plain" else noise_aware_survivors)
    toolbox.register("mutate", catalogue_mutation)
    toolbox.register(
        "mate",
        crossover,
        parents=archive.parents,
        genome_of=lambda id: archive.individuals[id].genome,
        repository=archive.readable,
        script=archive.read_state()["script"],
    )
    toolbox.register("evaluate", run_undisturbed)
    return toolbox
