"""What is in an archive: individuals, their outcomes, notes and branches, read into memory or when asked for."""

from __future__ import annotations

import json
from collections import ChainMap
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from evolve.archive import lineage, loading, objects, records
from evolve.archive import state as states
from evolve.archive.store import Store
from evolve.arena import Direction
from evolve.errors import UserError
from evolve.individual import DERIVED, Individual, Offspring, Outcome, fitness_type

OUTCOMES = "refs/notes/evolve"
CURVES = "refs/notes/curves"
EXCHANGES = "refs/notes/llm"
IDEAS = "refs/notes/ideas"
HEADS = "refs/heads/"
ELITE = "elite/"  # a branch a rank
CHAMPION = "champion"
REMOTE = "refs/remotes/origin/"  # where the branches are in a clone with a work tree
GENOMES_IN_MEMORY = 128
_CLONE = (
    "A plain `git clone` takes the branches alone: clone the archive with --mirror, or fetch the rest with "
    "`git fetch origin 'refs/individuals/*:refs/individuals/*' 'refs/derived/*:refs/derived/*' "
    "'refs/notes/*:refs/notes/*' 'refs/evolve/*:refs/evolve/*'`."
)


class History:
    """A search's history, read; `Archive` is the same, and writes."""

    def __init__(self, path: Path, store: Store) -> None:
        """Raises UserError where the store is no archive, one of a later version, or a damaged one."""
        self.path = path
        self._store = store
        head = store.ref(states.STATE)
        if head is None:
            raise UserError(f"{path} is a git repository, but no archive of evolve: it has no {states.STATE}. {_CLONE}")
        self._genome = lru_cache(GENOMES_IN_MEMORY)(self._read_genome)
        self._state = states.parse(store.read_file(head, states.FILE), path)
        self._new_fitness = fitness_type(Direction(self._state["direction"]))
        self._load()

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
        branches = {name.removeprefix(ELITE): id for name, id in self.branches().items() if name.startswith(ELITE)}
        ranks = sorted(loading.numbered(branches).items())
        # While an engine writes, two ranks may name the same individual, or one that came after the listing.
        return list(dict.fromkeys(by_commit[commit] for _, commit in ranks if commit in by_commit))

    def champion(self) -> Individual | None:
        """The individual that the branch `champion` is on; None before anything was measured."""
        commit = self.branches().get(CHAMPION)
        return next((one for one in self._individuals.values() if one.commit == commit), None)

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
        left = records.curves(self._note(CURVES, individual.commit), individual.commit)
        numbers = self._numbers.get((individual.id, studies), [])
        return [left.get(n, {"n": n, "curve": [], "tail": ""}) for n in numbers]

    def every_curve(self) -> Iterator[tuple[Individual, Outcome, dict[str, Any]]]:
        """What `curves` gives of every outcome, of the search and of operations, that left a curve or a tail."""
        for one, text in self._noted(CURVES):
            left = records.curves(text, one.commit)
            for studies, outcomes in ((False, one.outcomes), (True, one.studies)):
                for n, outcome in zip(self._numbers.get((one.id, studies), ()), outcomes, strict=True):
                    if n in left:
                        yield one, outcome, left[n]

    def exchanges(self) -> list[tuple[Individual, dict[str, Any]]]:
        """Every exchange with a language model and the individual it is noted on, in order of time."""
        noted = []
        for one, text in self._noted(EXCHANGES):
            latest = 0.0
            for line in records.exchange_lines(text, one.commit):
                # Within a note the order is that of writing, also where the clock went backwards.
                latest = max(latest, line["time"])
                noted.append((latest, one, line))
        return [(one, line) for _, one, line in sorted(noted, key=lambda entry: entry[0])]

    def ideas(self, individual: Individual) -> list[dict[str, Any]]:
        """Ideas that were tried on the individual before this archive began, and whose genomes are not known."""
        return records.idea_lines(self._note(IDEAS, individual.commit), individual.commit)

    def notes_of(self, individual: Individual) -> dict[str, bytes]:
        """The texts of the individual's notes by reference, its exchanges with language models left out."""
        return {ref: text for ref in (OUTCOMES, CURVES, IDEAS) if (text := self._note(ref, individual.commit))}

    def branches(self) -> dict[str, str]:
        """Commits of the branches by name; in a clone, those of its origin where its own has other work on top."""
        known = {one.commit for one in self.everyone.values()}
        own = self._store.refs_under(HEADS).items()
        return self._store.refs_under(REMOTE) | {name: commit for name, commit in own if commit in known}

    def resolve(self, name: str) -> Individual:
        """What a user calls an individual: its id, a branch, or the start of its commit. Raises UserError."""
        return lineage.resolve(self.everyone, self.branches(), name)

    def lineage(self, individual: Individual) -> list[Individual]:
        """From the seed to the individual along first parents."""
        return lineage.lineage(self.everyone, individual)

    def read_state(self) -> dict[str, Any]:
        """What `write_state` wrote last."""
        state: dict[str, Any] = json.loads(json.dumps(self._state))
        return state

    def _load(self) -> None:
        named = loading.numbered(self._store.refs_under(loading.INDIVIDUALS))
        derived = loading.numbered(self._store.refs_under(loading.DERIVED_REFS))
        commits = dict(sorted(named.items()))
        read = self._store.read_many
        new = (self._state["script"], self._genome, self._new_fitness)
        births = loading.load(self.path, read, commits, {}, *new)
        self._individuals = births.individuals
        later = {DERIVED + number: derived[number] for number in sorted(derived)}
        self._derived = loading.load(self.path, read, later, commits, *new).individuals if later else {}
        self._genomes = births.genomes
        self._parents = {individual.id: individual.parents for individual in births.individuals.values()}
        self._order: list[tuple[Individual, Outcome]] = []
        self._studies: list[tuple[Individual, Outcome]] = []
        self._numbers: dict[tuple[int, bool], list[int]] = {}  # by individual, and whether of a study
        self._next_number = 0
        lines = [
            (record["n"], individual, record)
            for individual, text in self._noted(OUTCOMES)
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

    def _noted(self, ref: str) -> list[tuple[Individual, bytes]]:
        """All notes of a reference, read at once, each with its individual.

        That of a birth which came after the listing of the individuals is left for the next opening.
        """
        notes = self._store.notes(ref)
        noted = [(one, blob) for one in self.everyone.values() if (blob := notes.get(one.commit))]
        texts = self._store.read_many([blob for _, blob in noted])
        return [(one, text) for (one, _), text in zip(noted, texts, strict=True)]

    def _note(self, ref: str, commit: str) -> bytes:
        blob = self._store.note(ref, commit)
        return self._store.read(blob) if blob else b""

    def _read_genome(self, commit: str) -> str:
        return self._store.read_file(commit, self._state["script"]).decode()
