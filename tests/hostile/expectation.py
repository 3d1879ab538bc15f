"""The head of a hostile genome: lines `#: key = value` (TOML) that say what must become of it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from evolve.evaluation.trial import Trial
from evolve.individual import Outcome, Status

GENOMES = Path(__file__).parent / "genomes"
MODES = ("bwrap", "landlock", "none")
NOT_CLAIMED = "-"  # a mode that does not claim to cover this: the genome is not run in it
_LINE = re.compile(r"#:(.*)")


@dataclass(frozen=True)
class Hostile:
    """A genome and its outcome in each mode, "STATUS" or "STATUS: pattern of the reason".

    `arena`: "toy" (no torch; imports `toy`) or "gpt" (a real one, of the CPU arena). `runs`: it is run that many times,
    and each must have the outcome. `ways`: forked from a warm parent, started afresh, or both. `prints`: a pattern that
    its last lines must have. `trial`: fields of its Trial.
    """

    name: str
    source: str
    bwrap: str
    landlock: str
    none: str
    arena: str = "toy"
    runs: int = 1
    ways: tuple[str, ...] = ("forked",)
    prints: str = ""
    trial: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Hostile:
        source = path.read_text(encoding="utf-8")
        lines = source.split("\n")
        head = [match[1] for line in lines if (match := _LINE.match(line))]
        values = tomllib.loads("\n".join(head))
        known = {f.name for f in fields(cls)}
        caps = {key: values.pop(key) for key in list(values) if key not in known and key in Trial.__dataclass_fields__}
        if "ways" in values:
            values["ways"] = tuple(values["ways"])
        if "all" in values:
            expected = values.pop("all")
            values = dict.fromkeys(MODES, expected) | values
        return cls(name=path.stem, source=source, trial=caps, **values)

    def expected(self, mode: str) -> str:
        return str(getattr(self, mode))

    def check(self, outcome: Outcome, mode: str) -> None:
        """Fails where the outcome is another than this mode must give."""
        status, _, pattern = self.expected(mode).partition(": ")
        said = f"{outcome.status}: {outcome.reason}\n{outcome.tail}"
        assert "ESCAPED" not in outcome.tail, said
        assert outcome.status is Status(status), said
        assert re.search(pattern, outcome.reason), said
        assert re.search(self.prints, outcome.tail), said


def hostile_genomes() -> list[Hostile]:
    return [Hostile.read(path) for path in sorted(GENOMES.glob("*.py"))]
