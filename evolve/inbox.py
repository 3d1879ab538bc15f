"""Offspring that people and other programs wrote: a file each in DIR/inbox, taken before any other."""

from __future__ import annotations

import contextlib
import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evolve.errors import UserError
from evolve.individual import Individual, Offspring, Outcome
from evolve.rundir import RunDirectory
from evolve.tickets import Ticket, Tickets, write
from evolve.variation.source import compiles, normalise

if TYPE_CHECKING:
    from evolve.engine import Evolution

LARGEST = 8_000_000  # bytes of an entry
OPERATOR = "outside"


class Inbox:
    """A source (see `breeding.Source`) of what was put into a run's inbox, the oldest entry first.

    An entry stays in the inbox until its individual is in the archive, and is recognised there by its genome, so that a
    kill at any instant neither loses nor doubles it. Entries that cannot be used are moved to `inbox/rejected`, each
    with its reason in a file beside it.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._folder = directory.inbox
        self._tickets = Tickets(directory.tickets)
        self._taken: Path | None = None
        self._stuck: set[Path] = set()  # unusable, and cannot even be moved

    def take(self, evolution: Evolution) -> Offspring | None:
        """The oldest entry that is not archived yet."""
        for path in self.waiting():
            if path in self._stuck:
                continue
            try:
                offspring = _read(path, evolution.archive.individuals)
            except _Unusable as error:
                self._set_aside(path, str(error))
                continue
            known = evolution.archive.find(offspring.genome)
            if known is not None:  # by an engine that was killed before it removed the entry, or by another operator
                self._done(path, known)
                continue
            self._taken = path
            return offspring
        return None

    def prepare(self, evolution: Evolution) -> None: ...

    def born(self, individual: Individual) -> None:
        if self._taken is not None:
            self._done(self._taken, individual.id)
            self._taken = None

    def told(self, individual: Individual, outcome: Outcome) -> None: ...

    def put(self, ticket: Ticket, genome: str, idea: str, body: str) -> None:
        """Leave an offspring of the ticket's individual for the engine. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        entry = {"individual": ticket.individual, "commit": ticket.commit, "genome": genome, "idea": idea, "body": body}
        write(self._folder / f"{ticket.id}.json", entry)

    def holds(self, ticket: Ticket) -> bool:
        """Whether the ticket's answer waits here."""
        return (self._folder / f"{ticket.id}.json").exists()

    def waiting(self) -> list[Path]:
        """The entries, oldest first."""
        found = []
        for path in self._folder.glob("*.json"):
            try:
                found.append((path.lstat().st_mtime_ns, path))
            except FileNotFoundError:  # taken meanwhile
                continue
        return [path for _, path in sorted(found)]

    def _done(self, path: Path, individual: int) -> None:
        with contextlib.suppress(UserError):  # a damaged ticket: what it was for has come
            self._tickets.settle(path.stem, individual)
        path.unlink(missing_ok=True)

    def _set_aside(self, path: Path, reason: str) -> None:
        rejected = self._folder / "rejected"
        try:
            rejected.mkdir(exist_ok=True)
            path.rename(rejected / path.name)
            (rejected / f"{path.name}.reason").write_text(reason + "\n", encoding="utf-8")
        except OSError:
            self._stuck.add(path)


def outside_lines(directory: RunDirectory) -> list[str]:
    """For `status`: tickets that still wait for an answer, and answers that wait for an engine."""
    inbox = Inbox(directory)
    waiting = len(inbox.waiting())
    unanswered = [
        ticket
        for ticket in Tickets(directory.tickets).all()
        if ticket.offspring is None and not ticket.stale and not inbox.holds(ticket)
    ]
    if not waiting and not unanswered:
        return []
    return [f"from outside: {len(unanswered)} open tickets, {waiting} offspring waiting for an engine"]


class _Unusable(Exception):  # noqa: N818 - a state of the entry
    """The entry cannot become an offspring; the message says why."""


def _read(path: Path, individuals: Mapping[int, Individual]) -> Offspring:
    entry = _load(path)
    texts = {key: entry.get(key) for key in ("genome", "idea", "body", "commit")}
    wrong = [key for key, value in texts.items() if not isinstance(value, str)]
    if wrong:
        raise _Unusable(f"The entry has no text '{wrong[0]}'.")
    parent = individuals.get(entry["individual"]) if isinstance(entry.get("individual"), int) else None
    if parent is None or parent.commit != texts["commit"]:
        raise _Unusable("The entry's individual is not in this archive.")
    genome = normalise(str(texts["genome"]))
    if not genome or not compiles(genome):
        raise _Unusable("The entry's genome is not Python.")
    idea = _text(texts["idea"]) or "An edit from outside"
    return Offspring(genome, (parent.id,), OPERATOR, idea, parent.generation + 1, body=_text(texts["body"]))


def _load(path: Path) -> dict[str, Any]:
    try:
        if not stat.S_ISREG(path.lstat().st_mode) or path.lstat().st_size > LARGEST:
            raise _Unusable(f"The entry is not a file of at most {LARGEST} bytes.")
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _Unusable(f"The entry cannot be read: {error}.") from error
    if not isinstance(entry, dict):
        raise _Unusable("The entry is not a JSON object.")
    return entry


def _text(value: object) -> str:
    """Text that git and a terminal can hold: JSON allows lone surrogates and zero bytes."""
    return str(value).encode("utf-8", "replace").decode().replace("\0", "")
