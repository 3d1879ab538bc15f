"""Tickets: who was handed a parent to change, until when, and what became of it."""

from __future__ import annotations

import fcntl
import json
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from evolve.archive.files import write_then_rename
from evolve.errors import UserError

_ID = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True)
class Ticket:
    """A parent that was handed out. Times are Unix times."""

    id: str
    individual: int
    commit: str
    intent: str
    issued: float
    expires: float
    offspring: int | None = None  # the individual that the answer became

    @property
    def stale(self) -> bool:
        return time.time() >= self.expires


class Tickets:
    """The tickets of one run, a JSON file each in `DIR/tickets`; any process may use them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold off every other process that answers a ticket."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def issue(self, id: str, individual: int, commit: str, intent: str, hours: float) -> Ticket:
        """A new ticket, on disk when this returns. Raises OSError."""
        now = time.time()
        ticket = Ticket(id, individual, commit, intent, now, now + hours * 3600)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write(ticket)
        return ticket

    def find(self, id: str) -> Ticket:
        """Raises UserError for a ticket that was never issued here, or cannot be read."""
        path = self._folder / f"{id}.json"
        if not _ID.fullmatch(id) or not path.is_file():
            raise UserError(
                f"There is no ticket '{id}' in {self._folder.parent}. `python -m evolve ask` hands one out."
            )
        try:
            return Ticket(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise UserError(f"The ticket {path} cannot be read: {error}. Ask for another one.") from error

    def settle(self, id: str, individual: int) -> None:
        """The ticket's answer is this individual; nothing where there is no such ticket."""
        if _ID.fullmatch(id) and (self._folder / f"{id}.json").is_file():
            self._write(replace(self.find(id), offspring=individual))

    def all(self) -> list[Ticket]:
        """All tickets that were issued and can be read, in no special order."""
        found = []
        for path in self._folder.glob("*.json"):
            with suppress(UserError):
                found.append(self.find(path.stem))
        return found

    def _write(self, ticket: Ticket) -> None:
        write(self._folder / f"{ticket.id}.json", asdict(ticket))


def new_id() -> str:
    return secrets.token_hex(4)


def write(path: Path, record: dict[str, object]) -> None:
    """Put a JSON object at `path` in one step. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_then_rename(temporary, path, json.dumps(record, indent=1).encode())
