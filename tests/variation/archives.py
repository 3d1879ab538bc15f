"""A small git archive of genomes, as the search writes them, for tests against real git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from evolve.individual import Individual, MinimisedFitness
from evolve.metadata import METADATA_FILE, dump_metadata, metadata
from evolve.variation.merge_driver import install

SCRIPT = "train.py"


def git(repository: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    settings = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"]
    command = ["git", "-C", str(repository), *settings, *arguments]
    # One date for all: git merges several merge bases in the order of their dates, which a tick would change.
    dates = {"GIT_AUTHOR_DATE": "1700000000 +0000", "GIT_COMMITTER_DATE": "1700000000 +0000"}
    return subprocess.run(command, env=os.environ | dates, capture_output=True, text=True, check=check)


class Archive:
    """A repository with a work tree; individual n is the branch `n`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parents: dict[int, tuple[int, ...]] = {}
        self.individuals: dict[int, Individual] = {}
        path.mkdir()
        git(path, "init", "-q")
        install(path)

    def read(self, commit: str) -> str:
        return (git(self.path, "show", f"{commit}:{SCRIPT}")).stdout

    def genome_of(self, id: int) -> str:
        return self.individuals[id].genome

    def add(self, genome: str, *parents: int, idea: str = "", operator: str = "catalogue") -> Individual:
        """Commit a genome with its metadata; the newest individual's branch is checked out."""
        id = len(self.parents)
        individual = Individual(
            id,
            parents,
            operator=operator,
            idea=idea or f"Idea {id}",
            generation=1 + max((self.individuals[mother].generation for mother in parents), default=-1),
            commit="",
            read_genome=self.read,
            fitness=MinimisedFitness(),
        )
        self.path.joinpath(SCRIPT).write_text(genome)
        self.path.joinpath(METADATA_FILE).write_text(dump_metadata(metadata(individual)))
        git(self.path, "add", "-A")
        tree = git(self.path, "write-tree").stdout.strip()
        links = [word for mother in parents for word in ("-p", str(mother))]
        commit = git(self.path, "commit-tree", "-m", individual.idea, *links, tree).stdout.strip()
        git(self.path, "branch", str(id), commit)
        individual.commit = commit
        self.parents[id] = parents
        self.individuals[id] = individual
        return individual

    def tree(self, reference: str) -> str:
        return git(self.path, "rev-parse", f"{reference}^{{tree}}").stdout.strip()

    def merge_by_hand(self, ours: int, theirs: int) -> str:
        """What a person does: `git merge` in a checkout. Returns the hash of the tree that it made."""
        git(self.path, "checkout", "-q", "-f", "--detach", str(ours))
        git(self.path, "merge", "-q", "--no-edit", str(theirs))
        return self.tree("HEAD")
