"""Writing git objects: blobs, trees and commits as loose files, without starting git."""

from __future__ import annotations

import contextlib
import hashlib
import time
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from evolve.archive.files import write_error, write_then_rename

FILE_MODE = "100644"
FOLDER_MODE = "40000"
IDENTITY = "evolve <evolve@localhost>"
TEMPORARY_PREFIX = "tmp_obj_evolve_"  # git's own `tmp_obj_`: its clean-up knows such files, too


class Entry(NamedTuple):
    """One name in a tree."""

    mode: str
    name: str
    id: str


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


class Objects:
    """Writer of the repository's loose objects. One writer at a time; readers need no care.

    The `name` given with a blob or a tree has no meaning but for packing, which looks for similar objects
    among those of one name.
    """

    def __init__(self, git_dir: Path) -> None:
        self._folder = git_dir / "objects"
        # Names are hashes, so one of the 256 folders is a fair sample; git's own gc looks at the same one.
        sample = self._folder / "17"
        self._found = 256 * sum(1 for _ in sample.iterdir()) if sample.is_dir() else 0
        self._written: list[tuple[str, str]] = []  # (id, name) since the last packing

    @property
    def loose(self) -> int:
        """About how many loose files there are, which says when packing is due."""
        return self._found + len(self._written)

    def hand_over(self) -> list[tuple[str, str]]:
        """The (id, name) pairs written since the last call, for packing, which begins now."""
        written, self._written, self._found = self._written, [], 0
        return written

    def blob(self, data: bytes, name: str) -> str:
        return self._store("blob", data, name)

    def tree(self, entries: Iterable[Entry], name: str) -> str:
        return self._store("tree", tree_data(entries), name)

    def commit(self, tree: str, parents: Iterable[str], message: str) -> str:
        """Write a commit by `evolve`, now; `message` as it shall be read, without NUL characters."""
        author = f"{IDENTITY} {int(time.time())} +0000"
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        lines += [f"author {author}", f"committer {author}", "", message.strip() + "\n"]
        return self._store("commit", "\n".join(lines).replace("\0", "").encode("utf-8", "replace"), "")

    def remove_temporary_files(self) -> None:
        """Remove what a killed writer left half-written."""
        for path in self._folder.glob(f"??/{TEMPORARY_PREFIX}*"):
            path.unlink(missing_ok=True)

    def _store(self, kind: str, data: bytes, name: str) -> str:
        """Raises ArchiveWriteError where the object cannot be written."""
        id = object_id(kind, data)
        target = self._folder / id[:2] / id[2:]
        if target.exists():
            return id
        # The fastest level: packing compresses again, and better.
        compressed = zlib.compress(b"%s %d\0" % (kind.encode(), len(data)) + data, 1)
        # In the object's own folder: packing removes folders that it emptied, but not one with this in it.
        temporary = target.with_name(TEMPORARY_PREFIX + id)
        while True:
            try:
                write_then_rename(temporary, target, compressed, mode=0o444)
                break
            except FileNotFoundError:
                self._make_folder(target.parent)
            except FileExistsError as error:
                raise write_error(error, temporary) from error
        self._written.append((id, name))
        return id

    def _make_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise write_error(error, folder) from error


def remove_pack_leftovers(git_dir: Path) -> None:
    """Remove half-written packs of a killed `git repack`. No packing may be under way."""
    folder = git_dir / "objects" / "pack"
    for pattern in ("tmp_*", ".tmp-*"):
        for path in folder.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
