"""Archive: writes individuals as commits, outcomes as notes, the search's state as one more reference."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from evolve.archive import files, loading, objects, plumbing, records, refs
from evolve.archive import state as states
from evolve.archive.files import ArchiveWriteError
from evolve.archive.history import CHAMPION, CURVES, ELITE, EXCHANGES, HEADS, IDEAS, OUTCOMES, History
from evolve.archive.maintenance import Packing, remove_leftovers
from evolve.archive.objects import Changes
from evolve.archive.store import Store
from evolve.errors import UserError
from evolve.individual import DERIVED, Individual, Offspring, Outcome
from evolve.metadata import METADATA_FILE, dump_metadata, metadata

LINEAGE = "lineage/"
SUBJECT_LENGTH = 120  # characters of an idea in a commit's first line; individual.json has all of it
PACK_AT = 4000  # objects in the packs of checkpoints
PACKS_AT = 300  # such packs
_FIXED = ("script", "direction")  # of the state: what the individuals were archived under


class Archive(History):
    """A search's history in a bare git repository; there is no other database.

    One engine writes (it makes sure of that itself), any number of readers look on. Whatever a call wrote
    survives the death of the process, and a power cut, once the call has returned, and a reader sees all of it or
    nothing. Git itself sees it then, too, or a second later inside `gathering`.
    Every call that writes may raise ArchiveWriteError; the archive is then as before the call, on disk and
    in memory, but for objects that nothing refers to, and the call may be repeated.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        """Use `Archive.open` or `Archive.create`."""
        self._write = write
        self._packing = Packing(path)
        with self._packing.no_other() if write else contextlib.nullcontext():
            if write:
                refs.remove_stale_locks(path)
                remove_leftovers(path)
            store = Store(path, write=write)
        super().__init__(path, store)
        self._elite = {
            f"{HEADS}{ELITE}{rank}" for rank in loading.numbered(store.refs_under(HEADS + ELITE))
        }  # as set last

    @classmethod
    def create(cls, path: Path, state: Mapping[str, Any]) -> Archive:
        """Make an empty archive at `path` and open it for writing.

        `state` is what `read_state` gives; it has "script", the genome's file name, and "direction" ("min"
        or "max"), which stay as they are for good. Raises UserError where `path` exists.
        """
        states.check(state)
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
                f"--initial-branch={CHAMPION}",
            )
            # Packing is ours to time; git's own clean-up would run whenever somebody works in the archive.
            plumbing.run(new, "config", "gc.auto", "0")
            # What git itself writes here by hand, a merge or packed references, survives a power cut, too.
            plumbing.run(new, "config", "core.fsync", "committed,derived-metadata")
            store = Store(new, write=True)
            store.write(states.changes(state, None))
            store.close()
            new.rename(path)
            files.sync_folder(path.parent)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        return cls(path, write=True)

    @classmethod
    def open(cls, path: Path, *, write: bool = False) -> Archive:
        """Open an archive, to look at it or, as its only engine, to write.

        Opening to write mends what a killed engine, or a power cut, left; `recovered` says what. Opening to
        read changes nothing and works while an engine writes; it shows what there was at that moment.
        Raises UserError where there is no archive, or one of a later version, or a damaged one.
        """
        if not (path / "HEAD").is_file() or not (path / "objects").is_dir() or not (path / "refs").is_dir():
            raise UserError(f"There is no archive at {path}: a bare git repository was expected there.")
        return cls(path, write=write)

    def close(self) -> None:
        """End the git processes; packing under way is waited for (seconds).

        Raises ArchiveWriteError where git could not be given what was written; the next engine will do it.
        """
        self._packing.wait()
        self._store.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def recovered(self) -> list[str]:
        """What had to be mended when it was opened to write, in sentences; empty after an engine that closed it."""
        return self._store.recovered

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
        changes = Changes()
        genome = changes.blob(offspring.genome.encode(), script)
        described = changes.blob(text.encode("utf-8", "replace"), METADATA_FILE)
        blobs = {script: genome, METADATA_FILE: described}
        tree = changes.tree([objects.Entry(objects.FILE_MODE, name, blob) for name, blob in blobs.items()], "")
        commit = changes.commit(tree, [ancestors[parent].commit for parent in parents], _message(offspring))
        changes.refs[ref] = commit
        self._store.write(changes)
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
        unpacked, packs = self._store.unpacked
        if unpacked > PACK_AT or packs > PACKS_AT:
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
        if individual.derived and not outcome.study:
            raise ValueError(f"{individual.name} is no individual of the search, and replicate {outcome.replicate} is")
        if outcome.individual not in (-1, individual.id):
            raise ValueError(f"an outcome of individual {outcome.individual} given for {individual.id}")
        n = self._next_number
        line = records.outcome_line(outcome, n)
        curve = records.curve_line(outcome, n)
        self._append(individual, {OUTCOMES: line} if curve is None else {OUTCOMES: line, CURVES: curve})
        self._take(individual, json.loads(line))

    def note_exchange(self, individual: Individual, record: Mapping[str, Any]) -> None:
        """Append an exchange with a language model to the individual's note: JSON values, "time" among them.

        On the offspring that came of it; where none came of it, on the parent. The record must hold no secret.
        """
        self._must_write()
        self._append(individual, {EXCHANGES: json.dumps(record, ensure_ascii=False)})

    def note_idea(self, individual: Individual, record: Mapping[str, Any]) -> None:
        """Append an idea that was tried on the individual to its note: JSON values, "idea" among them."""
        self._must_write()
        self._append(individual, {IDEAS: json.dumps(record, ensure_ascii=False)})

    def set_elite(self, individuals: Sequence[Individual]) -> None:
        """Make `elite/<n>` the individual of rank n, and let no such branch of a longer list stay."""
        self._must_write()
        elite = {f"{HEADS}{ELITE}{rank}": individual.commit for rank, individual in enumerate(individuals)}
        self._point(dict.fromkeys(self._elite) | elite)
        self._elite = set(elite)

    def set_champion(self, individual: Individual) -> None:
        """Make `champion` this individual; `lineage/<id>` stays on it when another one takes over."""
        self._must_write()
        self._point({f"{HEADS}{name}": individual.commit for name in (CHAMPION, f"{LINEAGE}{individual.id}")})

    def set_branch(self, name: str, individual: Individual) -> None:
        """Make the branch `name` this individual."""
        self._must_write()
        self._point({f"{HEADS}{name}": individual.commit})

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Keep what a resume needs; JSON values only. Earlier states are the parents of the commit.

        Raises ValueError where "script" or "direction" is not what the archive was created with.
        """
        self._must_write()
        if changed := [key for key in _FIXED if state.get(key) != self._state[key]]:
            raise ValueError(f"the state's {changed} cannot change once the archive exists")
        if state != self._state:
            self._store.write(states.changes(state, self._store.ref(states.STATE)))
            self._state = json.loads(json.dumps(state))

    def maintain(self, wait: bool = False) -> None:
        """Pack objects and references in the background; `add` does so from time to time.

        With `wait`, return when it is done: worth it at the end of a search. While packing is under way,
        no other begins. A failure is logged, not raised: the archive is whole without it.
        """
        self._must_write()
        if not self._packing.running():
            # What cannot be written now waits in the journal; the next write, or closing, says so.
            with contextlib.suppress(ArchiveWriteError):
                self._store.settle()
                self._packing.start(*self._store.hand_over())
        if wait:
            self._packing.wait()

    @contextlib.contextmanager
    def gathering(self) -> Iterator[None]:
        """While entered, plain git sees what was written by up to a second late, and archiving costs a tenth.

        Whatever a call wrote survives a kill and a power cut all the same, and readers of this class see it at
        once. `settle_if_due` is to be called several times a second. On leaving, git has everything.
        """
        with self._store.gathering():
            yield

    def settle_if_due(self) -> None:
        """Let git have what was written, unless it got something within the last second."""
        self._store.settle_if_due()

    def unsettled(self) -> dict[str, objects.Object]:
        """The objects, by id, that are in the archive but not in its git repository yet."""
        return self._store.unsettled()

    def readable(self) -> Path:
        """The repository, for git itself to read: it has everything that was written."""
        self._store.settle()
        return self.path

    def _must_write(self) -> None:
        if not self._write:
            raise ValueError(f"{self.path} was opened for reading only")

    def _append(self, individual: Individual, lines: Mapping[str, str]) -> None:
        """Add a line to the individual's notes, by their references: all of them or, after a failure, none."""
        changes = Changes()
        for ref, line in lines.items():
            text = self._note(ref, individual.commit)
            if text and not text.endswith(b"\n"):
                text += b"\n"
            blob = changes.blob(text + line.encode("utf-8", "replace") + b"\n", ref)
            changes.notes[ref] = {individual.commit: blob}
        self._store.write(changes)

    def _point(self, refs: Mapping[str, str | None]) -> None:
        """Move those references that are elsewhere."""
        self._store.write(Changes(refs={name: id for name, id in refs.items() if self._store.ref(name) != id}))


def _message(offspring: Offspring) -> str:
    """A commit's message: the idea as one line, then the body."""
    subject = " ".join(offspring.idea.split()) or offspring.operator
    if len(subject) > SUBJECT_LENGTH:
        subject = subject[: SUBJECT_LENGTH - 1] + "…"
    return f"{subject}\n\n{offspring.body.strip()}"
