"""A genome run by hand takes what nobody gave it from the arena.toml beside it: corpus, box, variables."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpt.errors import UserError
from gpt.prepared import Prepared

COMMAND = "gpt.prepare"


class ByHand:
    """The arena beside a script; one without an arena.toml gives nothing, and the default corpus."""

    def __init__(self, script: str | None) -> None:
        """`script`: the path of the main module; None: there is none. Raises UserError for a wrong file."""
        self._table: dict[str, Any] = {}
        path = Path(script or "").resolve().parent / "arena.toml"
        if script and path.is_file():
            try:
                self._table = tomllib.loads(path.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise UserError(f"{path} is not valid TOML: {error}.") from error

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The GPT_* variables of the run: those of `environment` over the arena's."""
        table = self._table.get("environment", {})
        given = {name: str(value) for name, value in table.items()} if isinstance(table, dict) else {}
        if "time_box" in self._table:
            given["GPT_BOX"] = str(self._table["time_box"])
        return {**given, **environment}

    def corpus(self) -> Prepared:
        """What the arena's own command prepares; Python's standard library where it has none. Raises UserError."""
        from gpt.prepare import from_arguments  # a prepared corpus needs none of it

        command = self._table.get("prepare", [])
        if COMMAND not in command:
            return from_arguments([])
        return from_arguments([str(word) for word in command[command.index(COMMAND) + 1 :]])
