"""A git notes reference that grows: a fan-out tree in memory, of which a commit replaces what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evolve.archive import plumbing
from evolve.archive.objects import FILE_MODE, FOLDER_MODE, Changes, Entry, object_id, tree_data


@dataclass(frozen=True)
class _Tree:
    """The fan-out: "ab" -> {"cdef...": blob}, and the trees of those folders that are in git as they are here."""

    folders: dict[str, dict[str, str]]
    trees: dict[str, str]


class Notes:
    """The notes of one reference: for each annotated commit, the blob with its text.

    The tree has one level of folders, named by the first two hexadecimal digits of the commit
    (`ab/cdef...`), from the first note on. Git reads any fan-out, so other layouts load as well; they are
    brought into this one by the next commit.
    """

    def __init__(self, git_dir: Path, ref: str, head: str | None) -> None:
        self._ref = ref
        self._tree = _Tree({}, {}) if head is None else _load(git_dir, head)

    def blob(self, commit: str) -> str | None:
        """The blob that holds the note of `commit`; None where it has none."""
        return self._tree.folders.get(commit[:2], {}).get(commit[2:])

    def blobs(self) -> dict[str, str]:
        """Annotated commit -> blob, for all notes."""
        return {prefix + rest: blob for prefix, folder in self._tree.folders.items() for rest, blob in folder.items()}

    def commit(self, notes: Mapping[str, str], head: str | None, changes: Changes) -> tuple[str, _Tree]:
        """Add to `changes` a commit after `head` with these notes (commit -> blob) besides the present ones.

        Gives the commit, and what `adopt` takes once it is in git.
        """
        old = self._tree
        changed = {prefix: dict(folder) for prefix, folder in old.folders.items() if prefix not in old.trees}
        for commit, blob in notes.items():
            prefix = commit[:2]
            if prefix not in changed:
                changed[prefix] = dict(old.folders.get(prefix, {}))
            changed[prefix][commit[2:]] = blob
        made = {p: changes.tree(_files(folder), f"{self._ref}/{p}") for p, folder in changed.items()}
        new = _Tree(old.folders | changed, old.trees | made)
        root = changes.tree([Entry(FOLDER_MODE, p, tree) for p, tree in new.trees.items()], self._ref)
        return changes.commit(root, [head] if head else [], "Notes added by evolve"), new

    def adopt(self, tree: _Tree) -> None:
        self._tree = tree


def _load(git_dir: Path, head: str) -> _Tree:
    folders: dict[str, dict[str, str]] = {}
    for line in plumbing.run(git_dir, "ls-tree", "-r", head).decode().splitlines():
        details, _, path = line.partition("\t")
        name = path.replace("/", "")
        folders.setdefault(name[:2], {})[name[2:]] = details.split(" ")[2]
    on_disk = {
        line.partition("\t")[0].split(" ")[2] for line in plumbing.run(git_dir, "ls-tree", head).decode().splitlines()
    }
    computed = {prefix: object_id("tree", tree_data(_files(folder))) for prefix, folder in folders.items()}
    return _Tree(folders, {prefix: tree for prefix, tree in computed.items() if tree in on_disk})


def _files(folder: Mapping[str, str]) -> list[Entry]:
    return [Entry(FILE_MODE, rest, blob) for rest, blob in folder.items()]
