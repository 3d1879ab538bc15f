"""Opening an archive whose engine ended without closing it: killed, or with the power."""

from __future__ import annotations

import os
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from evolve.archive import files, journal, packs, plumbing, refs
from evolve.archive.journal import Journaled
from evolve.archive.objects import Changes

_NEVER_DELETED = ("refs/individuals/", "refs/notes/", "refs/evolve/")
_REF = re.compile(rb"[0-9a-f]{40}\n?|ref: refs/\S+\n?")


@dataclass
class Recovery:
    """What git may lack, to be made a checkpoint of, and what a person should know."""

    changes: Changes = field(default_factory=Changes)
    said: list[str] = field(default_factory=list)


def recover(git_dir: Path) -> Recovery:
    """Bring an archive into a state that git can read; the caller must be its only writer.

    Every checkpoint is flushed before its journal is let go, so after a kill, and after a power cut on a disk
    that keeps what it was told to flush, only the journal's last write can be torn. Where a disk did not keep
    that, the last checkpoint is made again: its packs are checked, damaged ones removed, the references put back
    to those before it, and both journals given as what git lacks. Files of references and loose objects,
    which somebody else's git may have been writing, are removed where they are empty or damaged.
    """
    recovery = Recovery()
    if journal.left_behind(git_dir):
        previous = journal.read(journal.load(git_dir / journal.PREVIOUS))
        current = journal.read(journal.load(git_dir / journal.JOURNAL))
        damaged = [pack for pack in packs.checkpoint_packs(git_dir) if not packs.is_whole(pack)]
        for pack in damaged:
            packs.remove(pack)
        if damaged or not _is_complete(git_dir, previous, current):
            _restore_references(git_dir)
            recovery.changes.add(previous.changes)
            recovery.said.append("what git had of its last second was damaged, and was made again from the journal")
        recovery.changes.add(current.changes)
        if current.writes:
            recovery.said.append(f"its last engine was killed: {current.writes} writes were taken from the journal")
        if current.torn:
            os.truncate(git_dir / journal.JOURNAL, len(journal.load(git_dir / journal.JOURNAL)) - current.torn)
            recovery.said.append(f"a write that had not come to its end ({current.torn} bytes) was dropped")
        recovery.said += _remove_damaged_files(git_dir)
    if refs.loose(git_dir):
        plumbing.run(git_dir, "pack-refs", "--all")
    return recovery


def _is_complete(git_dir: Path, previous: Journaled, current: Journaled) -> bool:
    """Whether git has what the last checkpoint gave it: every reference of the search, and every object."""
    lines, whole = refs.parse(git_dir / refs.PACKED)
    named = {str(path.relative_to(git_dir)) for path in refs.loose(git_dir)} | lines.keys()
    expected = {name for name in refs.parse(git_dir / refs.BACKUP)[0] if name.startswith(_NEVER_DELETED)}
    expected |= previous.changes.notes.keys() | {name for name, id in previous.changes.refs.items() if id is not None}
    expected -= {name for name, id in current.changes.refs.items() if id is None}
    if not whole or not expected <= named:
        return False
    heads = [line[:40] for name, line in lines.items() if name.startswith("refs/notes/")]
    return not plumbing.missing(git_dir, [*heads, *previous.changes.objects])


def _restore_references(git_dir: Path) -> None:
    """Put the references back to what they were before the last checkpoint."""
    path, backup, new = (git_dir / name for name in (refs.PACKED, refs.BACKUP, f"{refs.PACKED}.new"))
    new.unlink(missing_ok=True)
    files.write_then_rename(new, path, backup.read_bytes() if backup.exists() else b"")


def _remove_damaged_files(git_dir: Path) -> list[str]:
    """Remove references and loose objects that git could not read; gives a sentence for each kind."""
    broken = [path for path in refs.loose(git_dir) if not _REF.fullmatch(path.read_bytes())]
    broken += [path for path in (git_dir / "objects").glob("??/" + "?" * 38) if not _decompresses(path)]
    for path in broken:
        path.unlink()
    return [f"{path.relative_to(git_dir)} was empty or damaged, and was removed" for path in broken]


def _decompresses(path: Path) -> bool:
    stream = zlib.decompressobj()
    try:
        stream.decompress(path.read_bytes())
    except zlib.error:
        return False
    return stream.eof
