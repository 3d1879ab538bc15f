"""Git objects as bytes: their names, trees, commits, and what one or several calls add to the archive."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

FILE_MODE = "100644"
FOLDER_MODE = "40000"
IDENTITY = "evolve <evolve@localhost>"


class Entry(NamedTuple):
    """One name in a tree."""

    mode: str
    name: str
    id: str


class Object(NamedTuple):
    """A blob, tree or commit. Its name has no meaning but for packing, which looks for similar ones of one name."""

    kind: str
    data: bytes
    name: str


def object_id(kind: str, data: bytes) -> str:
    """The name of an object, as git computes it (SHA-1 over a header and the content)."""
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).hexdigest()


def tree_data(entries: Iterable[Entry]) -> bytes:
    """The content of a tree object; git wants entries sorted, a folder as if its name ended with a slash."""
    ordered = sorted(entries, key=lambda e: (e.name + "/" if e.mode == FOLDER_MODE else e.name).encode())
    return b"".join(b"%s %s\0%s" % (e.mode.encode(), e.name.encode(), bytes.fromhex(e.id)) for e in ordered)


def read_tree(data: bytes) -> list[Entry]:
    """The inverse of `tree_data`."""
    entries, position = [], 0
    while position < len(data):
        end = data.index(b"\0", position)
        mode, _, name = data[position:end].decode().partition(" ")
        entries.append(Entry(mode, name, data[end + 1 : end + 21].hex()))
        position = end + 21
    return entries


@dataclass
class Changes:
    """What is added to an archive: objects, then what names them.

    `refs` maps references to objects, or to None where they are deleted. `notes` maps a notes reference to
    annotated commits and the blobs of their notes: the trees and the commit of the reference are made of
    them when the changes go into git.
    """

    objects: dict[str, Object] = field(default_factory=dict)
    refs: dict[str, str | None] = field(default_factory=dict)
    notes: dict[str, dict[str, str]] = field(default_factory=dict)

    def blob(self, data: bytes, name: str) -> str:
        return self._add("blob", data, name)

    def tree(self, entries: Iterable[Entry], name: str) -> str:
        return self._add("tree", tree_data(entries), name)

    def commit(self, tree: str, parents: Iterable[str], message: str) -> str:
        """A commit by `evolve`, now; `message` as it shall be read, without NUL characters."""
        author = f"{IDENTITY} {int(time.time())} +0000"
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        lines += [f"author {author}", f"committer {author}", "", message.strip() + "\n"]
        return self._add("commit", "\n".join(lines).replace("\0", "").encode("utf-8", "replace"), "")

    def add(self, later: Changes) -> None:
        """Take the changes that were made after these."""
        self.objects |= later.objects
        self.refs |= later.refs
        for ref, notes in later.notes.items():
            self.notes[ref] = self.notes.get(ref, {}) | notes

    def copy(self) -> Changes:
        return Changes(dict(self.objects), dict(self.refs), dict(self.notes))

    def __bool__(self) -> bool:
        return bool(self.objects or self.refs or self.notes)

    def _add(self, kind: str, data: bytes, name: str) -> str:
        id = object_id(kind, data)
        self.objects[id] = Object(kind, data, name)
        return id
