"""`evolve import`: a keep-or-discard history, one script's commits and a log, becomes an archive."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from evolve import arena as arenas
from evolve.archive.repository import Archive
from evolve.arena import Arena, Direction
from evolve.errors import UserError
from evolve.estimates import estimates_of
from evolve.individual import CHOICE, Individual, Offspring, Outcome, Status
from evolve.lineages.foreign import Commit, Foreign, open_foreign
from evolve.lineages.results_log import COLUMNS, Log, Row, read_log
from evolve.rundir import RunDirectory
from evolve.selection import noise_aware_survivors
from evolve.trials import UNKNOWN_CORPUS
from evolve.variation.source import compiles, normalise

OPERATOR = "import"
POPULATION = 8  # of a search that goes on
TIME_BOX = 300.0  # seconds, of the scripts that such searches are about
FAR = 1000  # commits beside the branch that are followed to it


@dataclass
class Entry:
    """An individual to be. `parent` is its place in the list of entries."""

    genome: str
    parent: int | None
    idea: str
    commit: Commit
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """What a history becomes."""

    entries: list[Entry]  # parents before their children; the first is the seed genome
    ideas: list[tuple[int, Row]]  # rows without a genome, each with the entry that it was tried on
    tip: int  # the entry that the branch ends with


def adopt(
    path: str,
    *,
    branch: str | None = None,
    results: str | None = None,
    script: str | None = None,
    out: str | None = None,
    arena: str | None = None,
    time_box: float | None = None,
) -> str:
    """Make an archive of the history of one script; returns what became of it, in words.

    Commits of the branch that change the script become individuals with their parents and scores, and so do logged
    commits beside it that still exist; rows without a commit are kept as ideas that were tried. `arena` says how the
    script is run, should it be evaluated again. The other repository is only read. Raises UserError.
    """
    source = Path(path)
    ours = arenas.load(arena) if arena else None
    script = script or (ours.script if ours else "train.py")
    if "\n" in script or script.startswith(("/", "../")):
        raise UserError(f"--script {script!r} must be a path inside the repository.")
    directory = RunDirectory(Path(out) if out else Path("runs") / source.resolve().name)
    if directory.archive.exists():
        raise UserError(f"{directory.archive} exists already. Name another folder with --out.")
    log = _log(source, results)
    with open_foreign(source) as foreign:
        name = branch or foreign.head()
        tip = foreign.resolve(name)
        plan = make_plan(foreign, tip, script, log.rows if log else ())
    if not compiles(plan.entries[plan.tip].genome):
        raise UserError(f"'{script}' at the end of {name} is not Python that compiles. Name the script with --script.")
    used = _arena(ours, Path(script).name, log, time_box)
    origin = {"branch": name, "commit": tip}
    # Made beside its place and moved there whole: a kill on the way leaves no half archive.
    draft = directory.archive.with_name(f".import-{os.getpid()}.git")
    try:
        with Archive.create(draft, _state(used, ours, origin)) as archive:
            _fill(archive, plan)
        draft.rename(directory.archive)
    except OSError as error:
        raise UserError(f"{directory.path} could not be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return _told(plan, log, directory, name, ours)


def _log(source: Path, results: str | None) -> Log | None:
    """The log: the named one, in this folder or the repository's; without a name, the repository's results.tsv."""
    if results is None:
        return read_log(source / "results.tsv") if (source / "results.tsv").is_file() else None
    return read_log(Path(results) if Path(results).is_file() else source / results)


def make_plan(foreign: Foreign, tip: str, script: str, rows: Sequence[Row]) -> Plan:
    """Which commits become which individuals. Raises UserError where there is no history of the script."""
    commits = foreign.line(tip)
    known = [(commit, blob) for commit, blob in zip(commits, _blobs(foreign, commits, script), strict=True) if blob]
    if not known:
        raise UserError(f"No commit of that branch has a file '{script}'. Name the script with --script.")
    place = {commit.id: number for number, (commit, _) in enumerate(known)}
    hashes = _resolved(foreign, rows, place)
    first = _seed(known, rows, hashes, place)
    history = _History(foreign, script)
    described = {id: row for row, id in reversed(list(zip(rows, hashes, strict=True))) if id is not None}
    history.follow(known[first:], described)
    return history.assign(rows, hashes)


def _blobs(foreign: Foreign, commits: Sequence[Commit], script: str) -> list[str | None]:
    return foreign.blobs([commit.id for commit in commits], script)


def _resolved(foreign: Foreign, rows: Sequence[Row], line: Mapping[str, int]) -> list[str | None]:
    """The full hash of each row's commit; where its beginning is not unique, the one on the line."""
    named = [row.commit for row in rows if row.names_commit]
    found = dict(zip(named, foreign.find(named), strict=True))
    result: list[str | None] = []
    for row in rows:
        id = found.get(row.commit)
        if id is None and row.names_commit:
            near = [commit for commit in line if commit.startswith(row.commit)]
            id = near[0] if len(near) == 1 else None
        result.append(id)
    return result


def _seed(
    known: Sequence[tuple[Commit, str]], rows: Sequence[Row], hashes: Sequence[str | None], place: Mapping[str, int]
) -> int:
    """Where the search begins: at the log's first row where that is on the line, else just before the first that is."""
    logged = [place[id] for id in hashes if id is not None and id in place]
    if not logged:
        return 0
    begins = min(logged)
    if hashes[0] in place and "baseline" in rows[0].description.lower():
        return begins
    return max(0, begins - 1)


class _History:
    """Entries as they are found."""

    def __init__(self, foreign: Foreign, script: str) -> None:
        self._foreign = foreign
        self._script = script
        self._entries: list[Entry] = []
        self._of: dict[str, int] = {}  # commit -> entry
        self._blob: dict[int, str] = {}  # entry -> blob
        self._tip = 0

    def follow(self, line: Sequence[tuple[Commit, str]], described: Mapping[str, Row]) -> None:
        """Take the commits of the branch: each that gives the script a text it did not have is an entry."""
        texts = dict(zip([blob for _, blob in line], self._foreign.texts([blob for _, blob in line]), strict=True))
        seen: dict[str, int] = {}
        previous: int | None = None
        for commit, blob in line:
            if blob not in seen:
                row = described.get(commit.id)
                idea = row.description if row and row.description else commit.subject
                seen[blob] = self._add(commit, blob, texts[blob], previous, idea)
            previous = self._of[commit.id] = seen[blob]
        assert previous is not None  # the line has at least one commit
        self._tip = previous

    def _add(self, commit: Commit, blob: str, text: bytes, parent: int | None, idea: str) -> int:
        try:
            genome = normalise(text.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise UserError(f"{self._script} in commit {commit.id[:12]} is not UTF-8 text: {error}.") from error
        self._entries.append(Entry(genome, parent, idea or "(no description)", commit))
        self._blob[len(self._entries) - 1] = blob
        return len(self._entries) - 1

    def assign(self, rows: Sequence[Row], hashes: Sequence[str | None]) -> Plan:
        """Give each row to its individual, which may be one beside the branch; without one, it is an idea."""
        ideas: list[tuple[int, Row]] = []
        incumbent = 0
        kept = set(self._line())
        for row, id in zip(rows, hashes, strict=True):
            entry = None if id is None else self._of.get(id)
            if entry is not None:
                incumbent = entry if entry in kept else incumbent
            elif id is not None:
                entry = self._beside(id, row)
            elif not row.names_commit and "baseline" in f"{row.commit} {row.description}".lower() and not incumbent:
                entry = 0
            if entry is None:
                ideas.append((incumbent, row))
            else:
                self._entries[entry].rows.append(row)
        return Plan(self._entries, ideas, self._tip)

    def _line(self) -> Iterator[int]:
        """The entries from the branch's last to the first."""
        entry: int | None = self._tip
        while entry is not None:
            yield entry
            entry = self._entries[entry].parent

    def _beside(self, id: str, row: Row) -> int | None:
        """The entry of a commit beside the branch; None where it does not lead to the branch, or has no script."""
        (blob,) = self._foreign.blobs([id], self._script)
        (commit,) = self._foreign.commits([id])
        parent = self._ancestor(commit)
        if blob is None or parent is None:
            return None
        if self._blob[parent] == blob:
            return parent  # the same genome, run once more
        (text,) = self._foreign.texts([blob])
        self._of[id] = self._add(commit, blob, text, parent, row.description or commit.subject)
        return self._of[id]

    def _ancestor(self, commit: Commit) -> int | None:
        for _ in range(FAR):
            if not commit.parents:
                return None
            parent = commit.parents[0]
            if parent in self._of:
                return self._of[parent]
            if self._foreign.find([parent])[0] is None:
                return None
            (commit,) = self._foreign.commits([parent])
        return None


def _arena(ours: Arena | None, script: str, log: Log | None, time_box: float | None) -> Arena:
    """The user's arena; without one, a script that prints its own score."""
    if time_box is not None and not 0 < time_box < 1e7:
        raise UserError(f"--time-box {time_box:g}: must be a number of seconds above zero.")
    used = ours or Arena(
        name="imported",
        folder=Path(),
        script=script,
        metric=log.metric if log else COLUMNS[1],
        score="printed",
        time_box=TIME_BOX,
        startup=600.0,
        grace=60.0,
        scoring=600.0,
        memory_mb=64_000,
    )
    return used if time_box is None else replace(used, time_box=time_box)


def _state(used: Arena, ours: Arena | None, origin: Mapping[str, str]) -> dict[str, object]:
    keys = ("name", "script", "metric", "score", "time_box", "startup", "grace", "scoring", "memory_mb")
    text = ours.text if ours else "".join(f"{key} = {json.dumps(getattr(used, key))}\n" for key in keys)
    return {
        "arena": used.name,
        "arena_folder": str(ours.folder.resolve()) if ours else "",
        "arena_toml": text,
        "script": used.script,
        "metric": used.metric,
        "direction": used.direction.value,
        "corpus": UNKNOWN_CORPUS,
        "time_box": used.time_box,
        "seed": 0,
        "strategy": "evolve",
        "machine": "unknown: imported",
        "pop": POPULATION,
        "imported": dict(origin),
    }


def _fill(archive: Archive, plan: Plan) -> None:
    """Archive the entries with their outcomes, then the ideas; the branch's last is the champion."""
    ids: dict[int, int] = {}
    for place, entry in _in_order(plan.entries):
        parents = () if entry.parent is None else (ids[entry.parent],)
        generation = max((archive.individuals[id].generation + 1 for id in parents), default=0)
        about = [f"Commit {entry.commit.id}: {entry.commit.subject}"]
        about += [f"Logged as {row.status}: {row.description}" for row in entry.rows]
        offspring = Offspring(
            entry.genome, parents, OPERATOR if parents else "seed", entry.idea, generation, body="\n".join(about)
        )
        individual = archive.add(offspring)
        ids[place] = individual.id
        for replicate, row in enumerate(entry.rows):
            archive.record(individual, _outcome(individual, replicate, row, entry.commit))
    for place, row in plan.ideas:
        record = {"idea": row.description, "status": row.status, "score": row.score, "commit": row.commit}
        archive.note_idea(archive.individuals[ids[place]], {**record, "memory_mb": row.memory_mb, "line": row.line})
    estimates = estimates_of(archive.in_order(), Direction(archive.read_state()["direction"]), before=CHOICE)
    archive.set_elite(noise_aware_survivors(archive.individuals, estimates, POPULATION))
    archive.set_champion(archive.individuals[ids[plan.tip]])


def _in_order(entries: Sequence[Entry]) -> Iterator[tuple[int, Entry]]:
    """Each entry after its parent, and what was tried on one before the next one of the branch: as it happened."""
    first = {place: min((row.line for row in entry.rows), default=-1) for place, entry in enumerate(entries)}
    children: defaultdict[int | None, list[int]] = defaultdict(list)
    for place, entry in enumerate(entries):
        children[entry.parent].append(place)
    waiting = sorted(children[None], reverse=True)
    while waiting:
        place = waiting.pop()
        yield place, entries[place]
        # The branch's own next commit comes last of the children, with all that follows from it.
        waiting += sorted(children[place], key=lambda child: (bool(children[child]), first[child]), reverse=True)


def _outcome(individual: Individual, replicate: int, row: Row, commit: Commit) -> Outcome:
    return Outcome(
        Status.CRASHED if row.score is None else Status.OK,
        row.score,
        reason=f"logged as {row.status}" if row.score is None else "",
        individual=individual.id,
        replicate=replicate,
        peak_memory_mb=row.memory_mb,
        trusted=False,
        started=commit.time,
    )


def _told(plan: Plan, log: Log | None, directory: RunDirectory, branch: str, ours: Arena | None) -> str:
    rows = sum(len(entry.rows) for entry in plan.entries)
    unmeasured = sum(not entry.rows for entry in plan.entries)
    lines = [
        f"{directory.archive}: {len(plan.entries)} individuals from {branch}, {rows} logged scores and crashes, "
        f"{unmeasured} individuals without one."
    ]
    if log is None:
        lines.append("No log was read (--results FILE): `replay` measures the individuals.")
    if plan.ideas:
        kept = [row.commit for _, row in plan.ideas if row.status == "keep"]
        lines.append(
            f"Rows that name no commit that exists: {len(plan.ideas)}, kept as ideas that were tried."
            + (f" Of these, logged as kept: {', '.join(kept)}." if kept else "")
        )
    if log is not None and log.unreadable:
        lines += [f"{len(log.unreadable)} lines of the log could not be read:", *(f"  {why}" for why in log.unreadable)]
    if ours is None:
        lines.append(
            "Without --arena, an evaluation runs the script as it is and reads the score that it prints; it gets no "
            "data of its own."
        )
    again = f"python -m evolve replay {shlex.quote(str(directory.path))} champion"
    return "\n".join([*lines, f"Scores were measured elsewhere. To see which steps hold here: {again}"])
