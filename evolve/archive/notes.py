"""A git notes reference that grows a line at a time: fan-out tree in memory, two trees written a line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evolve.archive import plumbing
from evolve.archive.objects import FILE_MODE, FOLDER_MODE, Entry, Objects, object_id, tree_data
from evolve.archive.refs import Refs


class Notes:
    """The notes of one reference: for each annotated commit, the blob with its text.

    The tree has one level of folders, named by the first two hexadecimal digits of the commit
    (`ab/cdef...`), from the first note on. Git reads any fan-out, so other layouts load as well; they are
    brought into this one by the next write. A write replaces the root and one folder.
    """

    def __init__(self, git_dir: Path, ref: str, objects: Objects, refs: Refs) -> None:
        self._ref = ref
        self._objects = objects
        self._refs = refs
        self._folders: dict[str, dict[str, str]] = {}  # "ab" -> {"cdef...": blob}
        self._trees: dict[str, str] = {}  # "ab" -> tree, for folders that are on disk as they are here
        head = refs.get(ref)
        if head is not None:
            self._load(git_dir, head)

    def blob(self, commit: str) -> str | None:
        """The blob that holds the note of `commit`; None where it has none."""
        return self._folders.get(commit[:2], {}).get(commit[2:])

    def blobs(self) -> dict[str, str]:
        """Annotated commit -> blob, for all notes."""
        return {prefix + rest: blob for prefix, folder in self._folders.items() for rest, blob in folder.items()}

    def put(self, commit: str, text: bytes) -> None:
        """Make `text` the note of `commit`, on disk when this returns.

        Raises ArchiveWriteError; the notes are then as before, here and on disk.
        """
        prefix, rest = commit[:2], commit[2:]
        changed = {p: folder for p, folder in self._folders.items() if p not in self._trees}
        changed[prefix] = self._folders.get(prefix, {}) | {rest: self._objects.blob(text, self._ref)}
        trees = self._trees | {
            p: self._objects.tree(_files(folder), f"{self._ref}/{p}") for p, folder in changed.items()
        }
        root = self._objects.tree([Entry(FOLDER_MODE, p, tree) for p, tree in trees.items()], self._ref)
        head = self._refs.get(self._ref)
        self._refs.write(self._ref, self._objects.commit(root, [head] if head else [], "Notes added by evolve"))
        self._folders |= changed
        self._trees = trees

    def _load(self, git_dir: Path, head: str) -> None:
        for line in plumbing.run(git_dir, "ls-tree", "-r", head).decode().splitlines():
            details, _, path = line.partition("\t")
            name = path.replace("/", "")
            self._folders.setdefault(name[:2], {})[name[2:]] = details.split(" ")[2]
        on_disk = set()
        for line in plumbing.run(git_dir, "ls-tree", head).decode().splitlines():
            on_disk.add(line.partition("\t")[0].split(" ")[2])
        for prefix, folder in self._folders.items():
            tree = object_id("tree", tree_data(_files(folder)))
            if tree in on_disk:
                self._trees[prefix] = tree


def _files(folder: Mapping[str, str]) -> list[Entry]:
    return [Entry(FILE_MODE, rest, blob) for rest, blob in folder.items()]
