"""Reading all individuals of an archive with a handful of git processes, however many there are."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evolve.archive import plumbing
from evolve.archive.objects import read_tree
from evolve.errors import UserError
from evolve.individual import Fitness, Individual
from evolve.metadata import METADATA_FILE

INDIVIDUALS = "refs/individuals/"
DERIVED_REFS = "refs/derived/"
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")


@dataclass
class Births:
    """The individuals by id, and the genomes' blobs with the first individual that has each."""

    individuals: dict[int, Individual]
    genomes: dict[str, int]


def list_refs(git_dir: Path) -> dict[str, str]:
    """Every reference of the archive, with no individual missing before another.

    A listing is not atomic: while an engine writes, a birth may be in it without the one before, and then
    it is read again. Raises UserError where the gap stays.
    """
    missing = ""
    for _ in range(3):
        refs = plumbing.list_refs(git_dir)
        missing = _gap(refs, INDIVIDUALS) or _gap(refs, DERIVED_REFS)
        if not missing:
            return refs
    raise UserError(
        f"The archive {git_dir} is damaged: {missing} is missing though later ones are there. Restore it from a copy."
    )


def numbered(names: Mapping[str, str]) -> dict[int, str]:
    """Those that are called by a number, as the archive's own are; what others made beside them is not looked at."""
    return {int(name): id for name, id in names.items() if _NUMBER.fullmatch(name)}


def _gap(refs: Mapping[str, str], prefix: str) -> str:
    """The first reference that is missing before another; empty where none is."""
    numbers = numbered({name.removeprefix(prefix): id for name, id in refs.items() if name.startswith(prefix)})
    absent = set(range(len(numbers))) - set(numbers)
    return f"{prefix}{min(absent)}" if absent else ""


def load(
    git_dir: Path,
    read_many: Callable[[Sequence[str]], list[bytes]],
    commits: Mapping[int, str],
    ancestors: Mapping[int, str],
    script: str,
    read_genome: Callable[[str], str],
    new_fitness: Callable[[], Fitness],
) -> Births:
    """Read the individuals whose commits these are, by id and in its order, without genomes and outcomes.

    Their parents are among them and `ancestors`; `read_many` gives the contents of objects.
    Raises UserError where an object is missing or not what an archive has.
    """
    headers = [_commit_header(data) for data in read_many(list(commits.values()))]
    trees = [{entry.name: entry.id for entry in read_tree(data)} for data in read_many([tree for tree, _ in headers])]
    ids = {commit: id for id, commit in [*ancestors.items(), *commits.items()]}
    births = Births({}, {})
    try:
        texts = read_many([tree[METADATA_FILE] for tree in trees])
        for (id, commit), (_, parents), tree, text in zip(commits.items(), headers, trees, texts, strict=True):
            metadata = json.loads(text)
            births.genomes.setdefault(tree[script], id)
            births.individuals[id] = Individual(
                id,
                tuple(ids[parent] for parent in parents),
                operator=metadata["operator"],
                idea=metadata["description"],
                generation=metadata["generation"],
                commit=commit,
                read_genome=read_genome,
                fitness=new_fitness(),
                model=metadata["model"],
                cost=metadata["cost"],
                derivation=metadata.get("derivation"),
            )
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"The archive {git_dir} is damaged: individual {len(births.individuals)} is not what an archive "
            f"holds ({type(error).__name__}: {error})."
        ) from error
    return births


def _commit_header(data: bytes) -> tuple[str, list[str]]:
    """The tree and the parents that a commit names."""
    lines = data.partition(b"\n\n")[0].decode(errors="replace").splitlines()
    parents = [line.removeprefix("parent ") for line in lines if line.startswith("parent ")]
    return lines[0].removeprefix("tree "), parents
