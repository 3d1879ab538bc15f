"""The archive's objects, references and notes: written to a journal first, and to git by checkpoints."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from evolve.archive import journal, loading, packs, plumbing, refs
from evolve.archive.files import ArchiveWriteError
from evolve.archive.journal import Journal
from evolve.archive.notes import Notes
from evolve.archive.objects import Changes, Object, read_tree
from evolve.archive.recovery import recover
from evolve.archive.refs import Refs
from evolve.errors import UserError

LAG = 1.0  # seconds that git may be behind what was written, while somebody gathers
GATHERED = 8_000_000  # bytes of objects, at which a checkpoint does not wait for that


class Store:
    """What an archive holds: in git, and in the journal what git does not have yet.

    `write` is durable when it returns: a kill or a power cut after it loses nothing. Git sees it at once, or,
    inside `gathering`, by a checkpoint a second later at the latest: many small changes then cost git one
    pack and one file of references. A reader takes both, so it is behind nobody.
    """

    def __init__(self, git_dir: Path, *, write: bool) -> None:
        self._git_dir = git_dir
        self._git = plumbing.CatFile(git_dir)
        self._journal = Journal(git_dir) if write else None
        self._gathering = False
        self._settled_at = 0.0
        self._pending_bytes = 0
        self._unpacked: list[tuple[str, str]] = []  # (id, name) in the packs of checkpoints
        self._packs: list[Path] = []
        if write:
            recovery = recover(git_dir)
            self.recovered = recovery.said
            self._pending = recovery.changes
            names = loading.list_refs(git_dir)
            self._packs = packs.checkpoint_packs(git_dir)
            self._unpacked = [(id, "") for pack in self._packs for id in packs.object_ids(pack)]
        else:
            self.recovered = []
            names, self._pending = _observe(git_dir)
        self.refs = Refs(git_dir, names)
        self._notes: dict[str, Notes] = {}
        if write and self._pending:
            self.settle()

    # Reading

    def ref(self, name: str) -> str | None:
        """The object that a reference names, git's or newer; None where there is no such reference."""
        return self._pending.refs[name] if name in self._pending.refs else self.refs.get(name)

    def refs_under(self, prefix: str) -> dict[str, str]:
        """Names that start with `prefix`, without it, and their objects."""
        found: dict[str, str | None] = dict(self.refs.under(prefix))
        newer = {name[len(prefix) :]: id for name, id in self._pending.refs.items() if name.startswith(prefix)}
        return {name: id for name, id in (found | newer).items() if id is not None}

    def read(self, id: str) -> bytes:
        """The content of an object. Raises UserError where there is none. Safe to call from several threads."""
        one = self._pending.objects.get(id)
        return self._git.read(id) if one is None else one.data

    def read_file(self, commit: str, name: str) -> bytes:
        """The content of a file in a commit's tree, as `read` gives it."""
        pending = self._pending.objects
        if commit not in pending:
            return self._git.read(f"{commit}:{name}")
        tree = pending[commit].data[len("tree ") :].partition(b"\n")[0].decode()
        return self.read(next(entry.id for entry in read_tree(self.read(tree)) if entry.name == name))

    def read_many(self, ids: Sequence[str]) -> list[bytes]:
        """The contents of many objects, in the order of their ids. Raises UserError where one is not there."""
        pending = self._pending.objects
        in_git = [id for id in ids if id not in pending]
        read = iter(plumbing.read_many(self._git_dir, in_git)) if in_git else iter(())
        return [pending[id].data if id in pending else next(read) for id in ids]

    def note(self, ref: str, commit: str) -> str | None:
        """The blob with the note of a commit; None where it has none."""
        newer = self._pending.notes.get(ref, {}).get(commit)
        return newer or self._notes_of(ref).blob(commit)

    def notes(self, ref: str) -> dict[str, str]:
        """Annotated commit -> blob, for all notes."""
        return self._notes_of(ref).blobs() | self._pending.notes.get(ref, {})

    def unsettled(self) -> dict[str, Object]:
        """The objects, by id, that git does not have yet."""
        return dict(self._pending.objects)

    # Writing

    def write(self, changes: Changes) -> None:
        """Keep the changes. Raises ArchiveWriteError; everything is then as before."""
        if not changes:
            return
        assert self._journal is not None  # opened to write
        size = self._journal.append(changes)
        gathered = self._pending_bytes + sum(len(one.data) for one in changes.objects.values())
        if self._gathering and gathered <= GATHERED:
            self._pending.add(changes)
            self._pending_bytes = gathered
            return
        before = self._pending.copy()
        self._pending.add(changes)
        try:
            self.settle()
        except ArchiveWriteError:
            self._journal.undo(size)
            self._pending = before
            raise

    @contextlib.contextmanager
    def gathering(self) -> Iterator[None]:
        """While entered, what is written goes to git when `settle_if_due` says so, and at the end."""
        self._gathering = True
        try:
            yield
        finally:
            self._gathering = False
        self.settle()

    def settle_if_due(self) -> None:
        """Make a checkpoint where something waits for it and the last one is a second ago."""
        if self._pending and time.monotonic() - self._settled_at >= LAG:
            self.settle()

    def settle(self) -> None:
        """Make a checkpoint: when this returns, git has everything that was written.

        Raises ArchiveWriteError; what waits is safe in the journal then, and waits on.
        """
        if not self._pending:
            return
        assert self._journal is not None  # opened to write
        made = self._pending.copy()
        adopted = []
        for ref, notes in self._pending.notes.items():
            made.refs[ref], tree = self._notes_of(ref).commit(notes, self.refs.get(ref), made)
            adopted.append((self._notes_of(ref), tree))
        if made.objects:
            self._packs.append(packs.write_pack(self._git_dir, made.objects))
            self._unpacked += [(id, one.name) for id, one in made.objects.items()]
        self.refs.write(made.refs)
        self._journal.checkpoint()
        for notes_of, tree in adopted:
            notes_of.adopt(tree)
        self._pending, self._pending_bytes = Changes(), 0
        self._settled_at = time.monotonic()

    @property
    def unpacked(self) -> tuple[int, int]:
        """How many objects and how many packs wait for packing."""
        return len(self._unpacked), len(self._packs)

    def hand_over(self) -> tuple[list[tuple[str, str]], list[Path]]:
        """The (id, name) pairs of what was written since the last call, and the packs they are in, for packing."""
        handed = self._unpacked, self._packs
        self._unpacked, self._packs = [], []
        return handed

    def close(self) -> None:
        """End the git process. A writer's journal goes once git has all of it. Raises ArchiveWriteError."""
        if self._journal is None:
            self._git.close()
            return
        try:
            self.settle()
        finally:
            self._git.close()
            self._journal.close(remove=not self._pending)

    def _notes_of(self, ref: str) -> Notes:
        if ref not in self._notes:
            self._notes[ref] = Notes(self._git_dir, ref, self.refs.get(ref))
        return self._notes[ref]


def _observe(git_dir: Path) -> tuple[dict[str, str], Changes]:
    """What a reader sees at one moment: git's references, and what the journal adds to them.

    Raises UserError where the references cannot be read.
    """
    while True:
        # The journal first: what it no longer has when the references are read, they have.
        seen = journal.load(git_dir / journal.JOURNAL)
        if journal.left_behind(git_dir) and not refs.are_whole(git_dir):
            raise UserError(
                f"What git has of the last second of {git_dir} was damaged, as by a power cut. The next engine mends "
                "it from the journal beside it: run the search again."
            )
        names = loading.list_refs(git_dir)
        if journal.load(git_dir / journal.JOURNAL).startswith(seen):
            return names, journal.read(seen).changes
