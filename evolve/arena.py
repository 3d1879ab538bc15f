"""An arena: what is evolved (a seed genome), how it is run, what is measured, and its limits."""

from __future__ import annotations

import difflib
import enum
import math
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from evolve.errors import UserError

ARENAS = Path(__file__).resolve().parent.parent / "genomes"


class Direction(enum.StrEnum):
    """Which way the arena's metric is better."""

    MIN = "min"
    MAX = "max"


class Flagged(enum.StrEnum):
    """What becomes of an offspring whose edit touches the harness, the system, or seeds."""

    REJECT = "reject"  # archived with the reason, and not run
    AUDIT = "audit"  # run, with the lines in its outcome, and its model always scored again
    ALLOW = "allow"  # run like any other


@dataclass(frozen=True)
class Arena:
    """The contents of an `arena.toml`. Times are seconds, memory is MB (10^6 bytes)."""

    name: str
    folder: Path
    script: str  # the seed genome's file name, inside the folder
    command: tuple[str, ...] = ("{python}", "{script}")  # how a genome is run
    prepare: tuple[str, ...] = ()  # run once before the search; its last line is JSON with "corpus" and "data"
    preload: tuple[str, ...] = ()  # modules of the warm parent; empty: each trial starts a fresh interpreter
    metric: str = "val_bpb"
    direction: Direction = Direction.MIN
    score: str = "harness"  # "harness": reported by gpt.finish; "printed": read from the script's own summary
    scorer: str = ""  # module that scores the best models again, in processes of its own; empty: none is
    flagged: Flagged = Flagged.AUDIT  # what becomes of edits that touch what a genome has no business with
    device: str = "cpu"
    time_box: float = 5.0
    startup: float = 60.0  # cap on the time before the clock opens
    startup_cpu: float = math.inf  # cap on the CPU time of that, of all its processes
    grace: float = 2.0  # how far past its box a step may reach before it is ended
    scoring: float = 60.0  # cap on the time from the end of the box to the exit
    cores: int = 1  # CPU cores a worker has for itself
    memory_mb: int = 4000
    scratch_mb: int = 4000  # what a genome may store, also in one file
    output_kb: int = 256
    readable: tuple[str, ...] = ()  # files and folders that genomes read beside Python and the prepared data
    # What the names contain that bend the learning curve: a run whose edit touches one is not raced before 70 %.
    schedule: tuple[str, ...] = ("WARMUP", "WARMDOWN", "COOLDOWN", "FINAL_LR", "WEIGHT_DECAY", "BATCH", "progress")
    environment: dict[str, str] = field(default_factory=dict)
    compile_cache: bool = False  # share what the seed genome compiles with all runs
    task: str = ""  # what language models are told to achieve; empty: said from metric, direction and box
    contract: str = ""  # what a genome must keep, as they are told; empty: said from `score`

    @property
    def corpus(self) -> str:
        """The corpus that its preparation is told to make ready; empty where it takes no such word."""
        words = self.prepare
        return words[words.index("--corpus") + 1] if "--corpus" in words[:-1] else ""

    def on_corpus(self, name: str) -> Arena:
        """The arena with another corpus. Raises UserError where its preparation takes none."""
        if not self.corpus:
            raise UserError(f"The arena '{self.name}' prepares no corpus that --corpus {name} could replace.")
        words = list(self.prepare)
        words[words.index("--corpus") + 1] = str(Path(name).resolve()) if Path(name).is_dir() else name
        return replace(self, prepare=tuple(words))

    def as_searched(self, state: Mapping[str, Any]) -> Arena:
        """The arena with the time box and the corpus of an archived search, by its state."""
        name = state.get("corpus_name")
        arena = self.on_corpus(str(name)) if name and self.corpus else self
        return replace(arena, time_box=float(state["time_box"]))

    @property
    def text(self) -> str:
        """The `arena.toml` itself."""
        return (self.folder / "arena.toml").read_text(encoding="utf-8")

    @property
    def seed_genome(self) -> str:
        return (self.folder / self.script).read_text(encoding="utf-8")


def available() -> list[str]:
    """Names of the arenas that come with evolve."""
    return sorted(path.parent.name for path in ARENAS.glob("*/arena.toml"))


def load(name_or_folder: str) -> Arena:
    """Read an arena by its name or by the path of a folder that holds an `arena.toml`.

    Raises UserError, with the nearest known name, where there is none or where the file is wrong.
    """
    folder = ARENAS / name_or_folder
    if not (folder / "arena.toml").is_file():
        folder = Path(name_or_folder).resolve()
    if not (folder / "arena.toml").is_file():
        near = difflib.get_close_matches(name_or_folder, available(), n=1)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        raise UserError(
            f"There is no arena '{name_or_folder}'. {hint}"
            f"Known: {', '.join(available())}; or give the path of a folder with an arena.toml."
        )
    path = folder / "arena.toml"
    try:
        arena = _read(path, path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not valid TOML: {error}.") from error
    if not (folder / arena.script).is_file():
        raise UserError(f"{path} names the script '{arena.script}', which is not in that folder.")
    return arena


def of_run(state: Mapping[str, Any], given: str | None = None) -> Arena:
    """The arena of an archived search, with its time box, from where its engine read it unless `given` names a place.

    Where it is not there any more, as in a clone on another machine, the archive's own copy counts. Raises UserError
    where there is none, or another arena is.
    """
    name, known = str(state["arena"]), str(state.get("arena_folder", ""))
    copy = state.get("arena_toml")
    there = bool(known) and Path(known).is_dir()
    if copy and given is None and not there and name not in available():
        return _read(Path(known) / "arena.toml", str(copy)).as_searched(state)
    place = given or (known if there else name)
    try:
        arena = load(place)
    except UserError as error:
        raise UserError(f"{error} This run is of arena '{name}': give its folder with --arena.") from error
    if arena.name != name:
        raise UserError(f"{place} is the arena '{arena.name}', and this run is of arena '{name}'.")
    return arena.as_searched(state)


def _read(path: Path, text: str) -> Arena:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is not valid TOML: {error}.") from error
    return _from_table(path, table)


def _from_table(path: Path, table: dict[str, Any]) -> Arena:
    known = {f.name: f for f in fields(Arena) if f.name != "folder"}
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise UserError(f"{path} has an unknown key '{key}'." + (f" Did you mean '{near[0]}'?" if near else ""))
    missing = [n for n, f in known.items() if n not in table and f.default is MISSING and f.default_factory is MISSING]
    if missing:
        raise UserError(f"{path} lacks the key '{missing[0]}'.")
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
    for key, allowed in (("direction", list(Direction)), ("score", ["harness", "printed"]), ("flagged", list(Flagged))):
        if key in values and values[key] not in allowed:
            raise UserError(f"{path}: {key} = '{values[key]}' must be one of {', '.join(allowed)}.")
    caps = ("time_box", "startup", "startup_cpu", "grace", "scoring", "cores", "memory_mb", "scratch_mb", "output_kb")
    for key in caps:
        if key in values and not (isinstance(values[key], int | float) and values[key] > 0):
            raise UserError(f"{path}: {key} = {values[key]!r} must be a number above zero.")
    for key in ("task", "contract"):
        if not isinstance(values.get(key, ""), str):
            raise UserError(f"{path}: {key} must be a text.")
    scorer = values.get("scorer", "")
    if scorer and not (isinstance(scorer, str) and all(part.isidentifier() for part in scorer.split("."))):
        raise UserError(f"{path}: scorer = {scorer!r} must be the name of a module, such as 'gpt.rescore'.")
    if not all(isinstance(entry, str) for entry in values.get("readable", ())):
        raise UserError(f"{path}: readable must be a list of paths.")
    # A relative path is one of the arena's folder.
    values["readable"] = tuple(str(path.parent / Path(entry).expanduser()) for entry in values.get("readable", ()))
    if "direction" in values:
        values["direction"] = Direction(values["direction"])
    if "flagged" in values:
        values["flagged"] = Flagged(values["flagged"])
    return Arena(folder=path.parent, **values)
