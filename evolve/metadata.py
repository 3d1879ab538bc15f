"""`individual.json`, the file beside a genome: its fields, its text, and how those of two parents merge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

METADATA_FILE = "individual.json"
DESCRIPTION_LIMIT = 60  # characters of either parent's description in a crossover's


class Described(Protocol):
    """What the file is written from: an Offspring or an Individual."""

    @property
    def operator(self) -> str: ...
    @property
    def model(self) -> str | None: ...
    @property
    def idea(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def cost(self) -> dict[str, float]: ...
    @property
    def derivation(self) -> dict[str, Any]: ...


def metadata(individual: Described) -> dict[str, Any]:
    """The fields of the file; `derivation` is there only where an operation on a lineage made the genome."""
    derivation = {"derivation": individual.derivation} if individual.derivation else {}
    return derivation | {
        "operator": individual.operator,
        "model": individual.model,
        "description": individual.idea,
        "generation": individual.generation,
        "cost": individual.cost,
    }


def dump_metadata(fields: Mapping[str, Any]) -> str:
    """The text of the file. Equal fields give equal bytes: the file is part of the tree that git hashes."""
    return json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def merge_metadata(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """What a crossover's file says, from those of its parents, ours the fitter one's.

    Used by the crossover operator and by the merge driver, so that both write the same tree. The one
    exception: two parents of different genomes whose files are equal, about which git asks no driver.
    Both need a `description` and a `generation`.
    """
    first, second = (_shorten(fields["description"]) for fields in (ours, theirs))
    return {
        "operator": "crossover",
        "model": None,
        "description": f"Cross ({first}) with ({second})",
        "generation": 1 + max(ours["generation"], theirs["generation"]),
        "cost": {},
    }


def _shorten(description: str) -> str:
    line = " ".join(description.split()).rstrip(".")
    return line if len(line) <= DESCRIPTION_LIMIT else line[: DESCRIPTION_LIMIT - 1].rstrip() + "…"
