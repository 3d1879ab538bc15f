"""The search's state: `state.json` in the commits of one reference."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evolve.archive.objects import FILE_MODE, Changes, Entry
from evolve.arena import Direction
from evolve.errors import UserError
from evolve.metadata import METADATA_FILE

FORMAT = 1
STATE = "refs/evolve/state"
FILE = "state.json"


def check(state: Mapping[str, Any]) -> None:
    """Raises ValueError or KeyError where the state lacks what every archive needs to know."""
    script = state["script"]
    if script in ("", ".", "..", ".git", METADATA_FILE) or any(c in script for c in "/\n\0"):
        raise ValueError(f"the state's script must be a plain file name, not {script!r}")
    Direction(state["direction"])


def changes(state: Mapping[str, Any], head: str | None) -> Changes:
    """What is written to make `state` the one after the commit `head`."""
    text = json.dumps({**state, "format": FORMAT}, indent=1, ensure_ascii=False) + "\n"
    made = Changes()
    blob = made.blob(text.encode("utf-8", "replace"), STATE)
    tree = made.tree([Entry(FILE_MODE, FILE, blob)], STATE)
    made.refs[STATE] = made.commit(tree, [head] if head else [], "State of the search")
    return made


def parse(text: bytes, path: Path) -> dict[str, Any]:
    """The state in a `state.json` of the archive at `path`. Raises UserError."""
    try:
        state: dict[str, Any] = json.loads(text)
        version = int(state.pop("format"))
        if version <= FORMAT:
            check(state)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"The archive {path} is damaged: its state cannot be read ({error}).") from error
    if version > FORMAT:
        raise UserError(
            f"The archive {path} has format {version}; this version of evolve reads up to {FORMAT}. "
            "Use a later version of evolve."
        )
    return state
