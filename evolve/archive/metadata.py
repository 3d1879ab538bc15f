"""What the archive writes beside a genome: `individual.json`, with its keys in one fixed order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from evolve.individual import Offspring

METADATA_FILE = "individual.json"
KEYS = ("operator", "model", "description", "generation", "cost")


def metadata_of(offspring: Offspring) -> dict[str, Any]:
    """The five values that a reader of the archive finds beside the genome; `description` is the idea."""
    return {
        "operator": offspring.operator,
        "model": offspring.model,
        "description": offspring.idea,
        "generation": offspring.generation,
        "cost": dict(offspring.cost),
    }


def dump_metadata(metadata: Mapping[str, Any]) -> str:
    """The text of `individual.json`: known keys in their order, then others: equal data is equal text."""
    ordered = {key: metadata[key] for key in KEYS if key in metadata}
    ordered |= {key: value for key, value in sorted(metadata.items()) if key not in ordered}
    return json.dumps(ordered, indent=2, ensure_ascii=False) + "\n"
