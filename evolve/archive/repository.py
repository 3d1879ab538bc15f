"""Archive: individuals as commits, outcomes as notes, the search's state as one more reference."""

from __future__ import annotations

import json
import os
import shutil
from collections import ChainMap
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

from evolve.archive import lineage, loading, objects, plumbing, records, refs
from evolve.archive.maintenance import Packing
from evolve.archive.notes import Notes
from evolve.arena import Direction
from evolve.errors import UserError
from evolve.individual import DERIVED, Individual, Offspring, Outcome, fitness_type
from evolve.metadata import METADATA_FILE, dump_metadata, metadata

FORMAT = 1
OUTCOMES = "refs/notes/evolve"
CURVES = "refs/notes/curves"
EXCHANGES = "refs/notes/llm"
IDEAS = "refs/notes/ideas"
STATE = "refs/evolve/state"
HEADS = "refs/heads/"
ELITE = "refs/heads/elite/"
CHAMPION = "refs/heads/champion"
LINEAGE = "refs/heads/lineage/"
REMOTE = "refs/remotes/origin/"  # where the branches are in a clone with a work tree
_CLONE = (
    "A plain `git clone` takes the branches alone: clone the archive with --mirror, or fetch the rest with "
    "`git fetch origin 'refs/individuals/*:refs/individuals/*' 'refs/derived/*:refs/derived/*' "
    "'refs/notes/*:refs/notes/*' 'refs/evolve/*:refs/evolve/*'`."
)

SUBJECT_LENGTH = 120  # characters of an idea in a commit's first line; individual.json has all of it
PACK_AT = 4000  # loose objects, about 330 births with their outcomes
GENOMES_IN_MEMORY = 128
_FIXED = ("script", "direction")  # of the state: what the individuals were archived under


class Archive:
    """A search's history in a bare git repository; there is no other database.

    One engine writes (it makes sure of that itself), any number of readers look on. Whatever a call wrote
    survives the death of the process once the call has returned, and a reader sees all of it or nothing.
    Every call that writes may raise ArchiveWriteError; the archive is then as before the call, on disk and
    in memory, but for objects that nothing refers to, and the call may be repeated.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        """Use `Archive.open` or `Archive.create`."""
        self.path = path
        self._write = write
        self._packing = Packing(path)
        if write:
            with self._packing.no_other():
                refs.remove_stale_locks(path)
                objects.remove_pack_leftovers(path)
        names = loading.list_refs(path)
        if STATE not in names:
            raise UserError(f"{path} is a git repository, but no archive of evolve: it has no {STATE}. {_CLONE}")
        self._refs = refs.Refs(path, names)
        self._objects = objects.Objects(path)
        if write:
            self._objects.remove_temporary_files()
        self._git = plumbing.CatFile(path)
        self._genome = lru_cache(GENOMES_IN_MEMORY)(self._read_genome)
        self._state = self._load_state(names[STATE])
        self._elite = {name for name in names if name.startswith(ELITE)}
        self._new_fitness = fitness_type(Direction(self._state["direction"]))
        self._load()

    @classmethod
    def create(cls, path: Path, state: Mapping[str, Any]) -> Archive:
        """Make an empty archive at `path` and open it for writing.

        `state` is what `read_state` gives; it has "script", the genome's file name, and "direction" ("min"
        or "max"), which stay as they are for good. Raises UserError where `path` exists.
        """
        _check_state(state)
        if path.exists():
            raise UserError(f"{path} exists already. Continue it, or name another place for a new archive.")
        path.parent.mkdir(parents=True, exist_ok=True)
        # Made beside its place and moved there whole: a kill on the way leaves no half archive at `path`.
        new = path.with_name(f"{path.name}.new-{os.getpid()}")
        try:
            plumbing.run(
                new,
                "init",
                "--quiet",
                "--bare",
                "--template=",
                "--object-format=sha1",
                "--initial-branch=champion",
            )
            # Packing is ours to time; git's own clean-up would run whenever somebody works in the archive.
            plumbing.run(new, "config", "gc.auto", "0")
            _write_state(objects.Objects(new), refs.Refs(new, {}), state)
            new.rename(path)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        return cls(path, write=True)

    @classmethod
    def open(cls, path: Path, *, write: bool = False) -> Archive:
        """Open an archive, to look at it or, as its only engine, to write.

        Opening to write removes the locks and half-written files that a killed engine left. Opening to
        read changes nothing and works while an engine writes; it shows what there was at that moment.
        Raises UserError where there is no archive, or one of a later version, or a damaged one.
        """
        if not (path / "HEAD").is_file() or not (path / "objects").is_dir() or not (path / "refs").is_dir():
            raise UserError(f"There is no archive at {path}: a bare git repository was expected there.")
        return cls(path, write=write)

    def close(self) -> None:
        """End the git processes; packing under way is waited for (seconds)."""
        self._packing.wait()
        self._git.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Reading

    @property
    def individuals(self) -> Mapping[int, Individual]:
        """The individuals of the search by id, in order of birth; their outcomes are without curve and tail."""
        return self._individuals

    @property
    def derived(self) -> Mapping[int, Individual]:
        """Those that operations on a lineage made, by id; the search sees none of them."""
        return self._derived

    @property
    def everyone(self) -> Mapping[int, Individual]:
        """The individuals of the search, then the derived ones."""
        return ChainMap(self._derived, self._individuals)

    @property
    def parents(self) -> Mapping[int, tuple[int, ...]]:
        """The ids of each individual's parents, by its id."""
        return self._parents

    def elite(self) -> list[Individual]:
        """The population as it was set last, best first."""
        by_commit = {individual.commit: individual for individual in self._individuals.values()}
        ranks = sorted((int(rank), commit) for rank, commit in self._refs.under(ELITE).items())
        # While an engine writes, two ranks may name the same individual, or one that came after the listing.
        return list(dict.fromkeys(by_commit[commit] for _, commit in ranks if commit in by_commit))

    def in_order(self) -> list[tuple[Individual, Outcome]]:
        """The outcomes of the search and its confirmation in order of arrival, each with its individual."""
        return list(self._order)

    def studies(self) -> list[tuple[Individual, Outcome]]:
        """The outcomes of operations on a lineage in order of arrival, each with its individual."""
        return list(self._studies)

    def pending(self) -> list[Individual]:
        """Individuals that the search has no outcome of: their evaluation was in flight, or never began."""
        return [individual for individual in self._individuals.values() if not individual.searched]

    def find(self, genome: str) -> int | None:
        """The first individual of the search with exactly this text; None where there is none."""
        return self._genomes.get(objects.object_id("blob", genome.encode()))

    def find_derived(self, offspring: Offspring) -> Individual | None:
        """The derived individual that this offspring became; None where it is not archived."""
        key = (offspring.operator, tuple(dict.fromkeys(offspring.parents)), offspring.derivation)
        for one in self._derived.values():
            if (one.operator, one.parents, one.derivation) == key and one.genome == offspring.genome:
                return one
        return None

    def curves(self, individual: Individual, *, studies: bool = False) -> list[dict[str, Any]]:
        """For each of the individual's outcomes {"n", "curve", "tail"}: what memory does not hold.

        With `studies`, for each of the outcomes of operations on a lineage. `curve` is a list of (progress 0..1,
        loss), a loss that was not finite being NaN; `n` is the outcome's number in order of arrival.
        """
        lines = records.read_lines(self._note(self._curves, individual.commit), individual.commit)
        # A kill between the two notes leaves a line whose number went to another run: the last one counts.
        by_number = {line["n"]: records.curve_of(line) for line in lines}
        numbers = self._numbers.get((individual.id, studies), [])
        return [by_number.get(n, {"n": n, "curve": [], "tail": ""}) for n in numbers]

    def exchanges(self) -> list[tuple[Individual, dict[str, Any]]]:
        """Every exchange with a language model and the individual it is noted on, in order of time."""
        noted = [(one, line) for one in self._individuals.values() for line in self._exchanges_of(one)]
        return sorted(noted, key=lambda pair: pair[1]["time"])

    def ideas(self, individual: Individual) -> list[dict[str, Any]]:
        """Ideas that were tried on the individual before this archive began, and whose genomes are not known."""
        return records.idea_lines(self._note(self._ideas, individual.commit), individual.commit)

    def notes_of(self, individual: Individual) -> dict[str, bytes]:
        """The texts of the individual's notes by reference, its exchanges with language models left out."""
        noted = {OUTCOMES: self._outcomes, CURVES: self._curves, IDEAS: self._ideas}
        return {ref: text for ref, notes in noted.items() if (text := self._note(notes, individual.commit))}

    def _exchanges_of(self, individual: Individual) -> list[dict[str, Any]]:
        return records.exchange_lines(self._note(self._llm, individual.commit), individual.commit)

    def resolve(self, name: str) -> Individual:
        """What a user calls an individual: its id, a branch, or the start of its commit. Raises UserError."""
        branches = self._refs.under(REMOTE) | self._refs.under(HEADS)
        return lineage.resolve(self.everyone, branches, name)

    def lineage(self, individual: Individual) -> list[Individual]:
        """From the seed to the individual along first parents."""
        return lineage.lineage(self.everyone, individual)

    def read_state(self) -> dict[str, Any]:
        """What `write_state` wrote last."""
        state: dict[str, Any] = json.loads(json.dumps(self._state))
        return state

    # Writing

    def add(self, offspring: Offspring, id: int | None = None) -> Individual:
        """Archive an offspring as the next individual (ids count births from 0).

        `id`, where given, must be the next one. Raises ValueError for another id or an unknown parent.
        """
        self._must_write()
        next_id = len(self._individuals)
        if id not in (None, next_id):
            raise ValueError(f"the next individual is {next_id}, not {id}")
        individual, genome = self._bear(offspring, next_id, self._individuals, f"{loading.INDIVIDUALS}{next_id}")
        self._individuals[next_id] = individual
        self._parents[next_id] = individual.parents
        self._genomes.setdefault(genome, next_id)
        return individual

    def derive(self, offspring: Offspring) -> Individual:
        """Archive what an operation on a lineage made; the same offspring again is the individual that it was.

        Its parents may be derived, too, and it may have none. Raises ValueError for an unknown parent.
        """
        self._must_write()
        known = self.find_derived(offspring)
        if known is not None:
            return known
        number = len(self._derived)
        individual, _ = self._bear(offspring, DERIVED + number, self.everyone, f"{loading.DERIVED_REFS}{number}")
        self._derived[individual.id] = individual
        return individual

    def _bear(
        self, offspring: Offspring, id: int, ancestors: Mapping[int, Individual], ref: str
    ) -> tuple[Individual, str]:
        """Write the commit and its reference; gives the individual and the genome's blob."""
        parents = tuple(dict.fromkeys(offspring.parents))
        if unknown := [parent for parent in parents if parent not in ancestors]:
            raise ValueError(f"individual {id} has unknown parents {unknown}")
        text = dump_metadata(metadata(offspring))
        script = self._state["script"]
        genome = self._objects.blob(offspring.genome.encode(), script)
        described = self._objects.blob(text.encode("utf-8", "replace"), METADATA_FILE)
        files = {script: genome, METADATA_FILE: described}
        tree = self._objects.tree([objects.Entry(objects.FILE_MODE, name, blob) for name, blob in files.items()], "")
        commit = self._objects.commit(tree, [ancestors[parent].commit for parent in parents], _message(offspring))
        self._refs.write(ref, commit)
        individual = Individual(
            id,
            parents,
            operator=offspring.operator,
            idea=offspring.idea,
            generation=offspring.generation,
            commit=commit,
            read_genome=self._genome,
            fitness=self._new_fitness(),
            model=offspring.model,
            cost=dict(offspring.cost),
            derivation=dict(offspring.derivation),
        )
        if self._objects.loose > PACK_AT:
            self.maintain()
        return individual, genome

    def record(self, individual: Individual, outcome: Outcome) -> None:
        """Append an outcome to the individual's note and to the individual.

        In memory it is as a resume would read it: without curve and tail, times in milliseconds. Raises
        ValueError where the individual is not of this archive or the outcome of another individual.
        """
        self._must_write()
        if self.everyone.get(individual.id) is not individual:
            raise ValueError(f"{individual!r} is not an individual of {self.path}")
        if outcome.individual not in (-1, individual.id):
            raise ValueError(f"an outcome of individual {outcome.individual} given for {individual.id}")
        n = self._next_number
        line = records.outcome_line(outcome, n)
        curve = records.curve_line(outcome, n)
        # The curve first: an outcome counts as recorded once its line in OUTCOMES is there.
        if curve is not None:
            self._append(self._curves, individual.commit, curve)
        self._append(self._outcomes, individual.commit, line)
        self._take(individual, json.loads(line))

    def note_exchange(self, individual: Individual, record: Mapping[str, Any]) -> None:
        """Append an exchange with a language model to the individual's note: JSON values, "time" among them.

        On the offspring that came of it; where none came of it, on the parent. The record must hold no secret.
        """
        self._must_write()
        self._append(self._llm, individual.commit, json.dumps(record, ensure_ascii=False))

    def note_idea(self, individual: Individual, record: Mapping[str, Any]) -> None:
        """Append an idea that was tried on the individual to its note: JSON values, "idea" among them."""
        self._must_write()
        self._append(self._ideas, individual.commit, json.dumps(record, ensure_ascii=False))

    def set_elite(self, individuals: Sequence[Individual]) -> None:
        """Make `elite/<n>` the individual of rank n, and let no branch of a longer list stay."""
        self._must_write()
        elite = {f"{ELITE}{rank}": individual.commit for rank, individual in enumerate(individuals)}
        self._elite |= elite.keys()
        for name, commit in elite.items():
            self._refs.write(name, commit)
        self._refs.delete([name for name in self._elite - elite.keys() if self._refs.get(name)])
        self._elite = set(elite)

    def set_champion(self, individual: Individual) -> None:
        """Make `champion` this individual; `lineage/<id>` stays on it when another one takes over."""
        self._must_write()
        self._refs.write(f"{LINEAGE}{individual.id}", individual.commit)
        self._refs.write(CHAMPION, individual.commit)

    def set_branch(self, name: str, individual: Individual) -> None:
        """Make the branch `name` this individual."""
        self._must_write()
        self._refs.write(f"{HEADS}{name}", individual.commit)

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Keep what a resume needs; JSON values only. Earlier states are the parents of the commit.

        Raises ValueError where "script" or "direction" is not what the archive was created with.
        """
        self._must_write()
        if changed := [key for key in _FIXED if state.get(key) != self._state[key]]:
            raise ValueError(f"the state's {changed} cannot change once the archive exists")
        if state != self._state:
            _write_state(self._objects, self._refs, state)
            self._state = json.loads(json.dumps(state))

    def maintain(self, wait: bool = False) -> None:
        """Pack objects and references in the background; `add` does so from time to time.

        With `wait`, return when it is done: worth it at the end of a search. While packing is under way,
        no other begins. A failure is logged, not raised: the archive is whole without it.
        """
        self._must_write()
        if not self._packing.running():
            self._packing.start(self._objects.hand_over())
        if wait:
            self._packing.wait()

    # Inside

    def _must_write(self) -> None:
        if not self._write:
            raise ValueError(f"{self.path} was opened for reading only")

    def _load_state(self, commit: str) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads(self._git.read(f"{commit}:state.json"))
            version = int(state.pop("format"))
            if version <= FORMAT:
                _check_state(state)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"The archive {self.path} is damaged: its state cannot be read ({error}).") from error
        if version > FORMAT:
            raise UserError(
                f"The archive {self.path} has format {version}; this version of evolve reads up to {FORMAT}. "
                "Use a later version of evolve."
            )
        return state

    def _load(self) -> None:
        named, derived = self._refs.under(loading.INDIVIDUALS), self._refs.under(loading.DERIVED_REFS)
        commits = {id: named[str(id)] for id in range(len(named))}
        read = (self._state["script"], self._genome, self._new_fitness)
        births = loading.load(self.path, commits, {}, *read)
        self._individuals = births.individuals
        later = {DERIVED + number: derived[str(number)] for number in range(len(derived))}
        self._derived = loading.load(self.path, later, commits, *read).individuals if later else {}
        self._genomes = births.genomes
        self._parents = {individual.id: individual.parents for individual in births.individuals.values()}
        self._outcomes = Notes(self.path, OUTCOMES, self._objects, self._refs)
        self._curves = Notes(self.path, CURVES, self._objects, self._refs)
        self._llm = Notes(self.path, EXCHANGES, self._objects, self._refs)
        self._ideas = Notes(self.path, IDEAS, self._objects, self._refs)
        self._order: list[tuple[Individual, Outcome]] = []
        self._studies: list[tuple[Individual, Outcome]] = []
        self._numbers: dict[tuple[int, bool], list[int]] = {}  # by individual, and whether of a study
        self._next_number = 0
        # A note of a birth that came after the listing of the individuals is left for the next opening.
        noted = [(i, blob) for i in self.everyone.values() if (blob := self._outcomes.blob(i.commit))]
        texts = plumbing.read_many(self.path, [blob for _, blob in noted])
        lines = [
            (record["n"], individual, record)
            for (individual, _), text in zip(noted, texts, strict=True)
            for record in records.read_lines(text, individual.commit)
        ]
        for _, individual, record in sorted(lines, key=lambda line: line[0]):
            self._take(individual, record)

    def _take(self, individual: Individual, record: dict[str, Any]) -> None:
        """Hold a recorded line in memory: the same for one just written and one read at opening."""
        outcome = records.outcome_of(record, individual.id, individual.commit)
        individual.add(outcome)
        (self._studies if outcome.study else self._order).append((individual, outcome))
        self._numbers.setdefault((individual.id, outcome.study), []).append(record["n"])
        self._next_number = record["n"] + 1

    def _append(self, notes: Notes, commit: str, line: str) -> None:
        text = self._note(notes, commit)
        if text and not text.endswith(b"\n"):
            text += b"\n"
        notes.put(commit, text + line.encode("utf-8", "replace") + b"\n")

    def _note(self, notes: Notes, commit: str) -> bytes:
        blob = notes.blob(commit)
        return self._git.read(blob) if blob else b""

    def _read_genome(self, commit: str) -> str:
        return self._git.read(f"{commit}:{self._state['script']}").decode()


def _check_state(state: Mapping[str, Any]) -> None:
    script = state["script"]
    if script in ("", ".", "..", ".git", METADATA_FILE) or any(c in script for c in "/\n\0"):
        raise ValueError(f"the state's script must be a plain file name, not {script!r}")
    Direction(state["direction"])


def _write_state(writer: objects.Objects, names: refs.Refs, state: Mapping[str, Any]) -> None:
    text = json.dumps({**state, "format": FORMAT}, indent=1, ensure_ascii=False) + "\n"
    blob = writer.blob(text.encode("utf-8", "replace"), STATE)
    tree = writer.tree([objects.Entry(objects.FILE_MODE, "state.json", blob)], STATE)
    head = names.get(STATE)
    names.write(STATE, writer.commit(tree, [head] if head else [], "State of the search"))


def _message(offspring: Offspring) -> str:
    """A commit's message: the idea as one line, then the body."""
    subject = " ".join(offspring.idea.split()) or offspring.operator
    if len(subject) > SUBJECT_LENGTH:
        subject = subject[: SUBJECT_LENGTH - 1] + "…"
    return f"{subject}\n\n{offspring.body.strip()}"
