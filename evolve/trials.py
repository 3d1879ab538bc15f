"""The trials of an arena: its data made ready, and what is run for an individual's next evaluation."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from dataclasses import dataclass, field, replace

from evolve.arena import Arena, Direction
from evolve.errors import UserError
from evolve.evaluation.trial import Trial
from evolve.individual import FRESH, STUDY, Individual
from evolve.randomness import replicate_seed
from evolve.rundir import RunDirectory
from evolve.sandbox.confinement import Mode
from evolve.sandbox.probe import from_environment

UNKNOWN_CORPUS = "unknown"  # of an archive whose scores were imported
SEARCH_SPLITS, FRESH_SPLITS, STUDY_SPLITS = ("search",), ("confirm", "locked"), ("confirm",)  # validation tokens
WARM_BOX = 0.1  # seconds: a step or two


@dataclass(frozen=True)
class Data:
    """What `arena.prepare` made ready: a folder, and the fingerprint that every outcome records.

    `parts`: files that a genome gets no name of, but the harness hands over in time: "train" when the clock opens,
    the validation splits when it is closed. Without them a genome opens its data itself.
    """

    name: str
    fingerprint: str
    folder: str
    parts: dict[str, str] = field(default_factory=dict)


def prepare(arena: Arena) -> Data:
    """Run the arena's own preparation (a no-op when done before); its progress goes to standard error.

    Raises UserError with what it printed where it fails.
    """
    if not arena.prepare:
        return Data("", "", "")
    command = [part.format(python=sys.executable) for part in arena.prepare]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"The data of arena '{arena.name}' could not be prepared: {' '.join(command)} failed.")
    last = json.loads(done.stdout.strip().splitlines()[-1])
    return Data(last["corpus"], last["fingerprint"], last["data"], last.get("parts", {}))


def require_corpus(corpus: str, data: Data, directory: RunDirectory) -> None:
    """Raises UserError where a run's corpus is known (of an imported one it is not) and another was prepared now."""
    if corpus not in (UNKNOWN_CORPUS, data.fingerprint):
        raise UserError(
            f"{directory.path} was searched on another corpus ({corpus[:12]}, now {data.fingerprint[:12]}): "
            "scores do not compare. The default corpus is the standard library of the running Python, so "
            "use the Python it was started with, or start another run beside it with --fresh."
        )


@dataclass(frozen=True)
class TrialMaker:
    """Makes the trial of an individual's next evaluation; replicate k runs with seed k of the common list."""

    arena: Arena
    data: Data
    directory: RunDirectory
    sandbox: Mode = field(default_factory=from_environment)

    def __call__(self, individual: Individual, replicate: int) -> Trial:
        trial = self._trial(individual.id, replicate, individual.genome, f"{individual.id}-{replicate}")
        return trial if individual.time_box is None else replace(trial, time_box=individual.time_box)

    def warm(self, seed_genome: Individual) -> Trial:
        """A short run of the seed genome that fills the cache of compiled code; its outcome is of no individual."""
        trial = self._trial(-1, 0, seed_genome.genome, "warm")
        return replace(trial, time_box=WARM_BOX, grace=trial.time_box + trial.grace, fills_cache=True)

    @property
    def compiled(self) -> str:
        """Where the runs of this archive find compiled code; another torch compiles anew."""
        if not self.arena.compile_cache:
            return ""
        return str((self.directory.compiled / f"torch-{importlib.metadata.version('torch')}").resolve())

    def dry(self, genome: str, number: int) -> Trial:
        """A trial of a genome that is not archived, whose outcome is of no individual."""
        return self._trial(-1, 0, genome, f"dry-{number}")

    def _trial(self, individual: int, replicate: int, genome: str, folder: str) -> Trial:
        arena = self.arena
        splits = SEARCH_SPLITS if replicate < FRESH else FRESH_SPLITS if replicate < STUDY else STUDY_SPLITS
        return Trial(
            individual=individual,
            replicate=replicate,
            seed=replicate_seed(replicate),
            source=genome,
            script=arena.script,
            command=arena.command,
            preload=arena.preload,
            score=arena.score,
            metric=arena.metric,
            time_box=arena.time_box,
            startup=arena.startup,
            grace=arena.grace,
            scoring=arena.scoring,
            memory_mb=arena.memory_mb,
            scratch_mb=arena.scratch_mb,
            output_kb=arena.output_kb,
            environment={**arena.environment, "GPT_DATA": self.data.folder},
            device=arena.device,
            opening=self._files("train"),
            closing=self._files(*splits),
            startup_cpu=arena.startup_cpu,
            scorer=arena.scorer,
            higher_is_better=arena.direction is Direction.MAX,
            splits=splits,
            compiled=self.compiled,
            sandbox=self.sandbox,
            readable=(*arena.readable, *([self.data.folder] if self.data.folder else [])),
            # A run may lie below something that is readable, as the user's own modules are.
            hidden=(str(self.directory.path.resolve()), *self.data.parts.values()),
            folder=str((self.directory.trials / folder).resolve()),
        )

    def _files(self, *parts: str) -> tuple[str, ...]:
        return tuple(self.data.parts[part] for part in parts) if self.data.parts else ()
