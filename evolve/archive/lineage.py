"""Questions about descent, and what a user may call an individual."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import takewhile

from evolve.errors import UserError
from evolve.individual import DERIVED, Individual

_ID = re.compile(r"#?(d?)([0-9]{1,9})")


def lineage(individuals: Mapping[int, Individual], individual: Individual) -> list[Individual]:
    """From the seed to `individual` along first parents (the fitter one, where there were two)."""
    line = [individual]
    while line[-1].parents:
        line.append(individuals[line[-1].parents[0]])
    return line[::-1]


def resolve(individuals: Mapping[int, Individual], branches: Mapping[str, str], name: str) -> Individual:
    """The individual that a user means: an id ('7', 'd2'), a branch ('champion', 'elite/0') or a commit's start.

    `branches` maps names to commits. Raises UserError, naming what there is.
    """
    if match := _ID.fullmatch(name):
        id = int(match[2]) + (DERIVED if match[1] else 0)
        if id in individuals:
            return individuals[id]
    commit = branches.get(name, name)
    matches = [i for i in individuals.values() if i.commit.startswith(commit)] if len(commit) >= 4 else []
    if len(matches) == 1:
        return matches[0]
    if len(matches) > 1:
        ids = ", ".join(i.name.removeprefix("#") for i in matches[:8])
        raise UserError(f"The commit '{name}' could be any of the individuals {ids}: give more of its digits.")
    born = sum(1 for _ in takewhile(lambda id: id < DERIVED, individuals))
    known = f"ids 0 to {born - 1}" if individuals else "no individuals yet"
    known += f" and d0 to d{len(individuals) - born - 1}" if len(individuals) > born else ""
    named = [b for b in sorted(branches) if not b.startswith("lineage/")]
    raise UserError(
        f"The archive has no individual '{name}'. It has {known}"
        + (f"; branches {', '.join(named)}" if named else "")
        + "; or give the first digits (4 or more) of a commit."
    )
