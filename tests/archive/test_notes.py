"""A notes reference against a plain dict, and against git's own reading and writing of notes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.archive import Archive, ArchiveWriteError, plumbing, refs
from evolve.archive.notes import Notes
from evolve.archive.objects import Objects
from evolve.archive.refs import Refs
from tests.archive.filling import STATE, fsck, git

REF = "refs/notes/test"
# Few different first digits, so that folders are shared; git takes any object's name for an annotated one.
COMMITS = st.tuples(st.sampled_from(["00", "ab", "ff"]), st.integers(0, 7)).map(lambda t: t[0] + f"{t[1]:038x}")
PUTS = st.lists(st.tuples(COMMITS, st.binary(max_size=20)), min_size=1, max_size=12)


def open_notes(path: Path) -> Notes:
    return Notes(path, REF, Objects(path), Refs(path, plumbing.list_refs(path)))


def on_disk(path: Path) -> dict[str, bytes]:
    blobs = open_notes(path).blobs()
    return dict(zip(blobs, plumbing.read_many(path, list(blobs.values())), strict=True))


@settings(max_examples=12, deadline=None)
@given(before=PUTS, after=PUTS)
def test_notes_are_a_dict_that_survives_reopening(
    before: list[tuple[str, bytes]], after: list[tuple[str, bytes]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.git"
        Archive.create(path, STATE).close()
        expected: dict[str, bytes] = {}
        for puts in (before, after):
            notes = open_notes(path)
            for commit, text in puts:
                notes.put(commit, text)
                expected[commit] = text
            assert on_disk(path) == expected
            listed = [line.split(" ") for line in git(path, "notes", "--ref", REF, "list").splitlines()]
            assert {commit: blob for blob, commit in listed} == notes.blobs()


def test_git_shows_every_note_of_many(archive: Archive) -> None:
    path = archive.path
    objects = Objects(path)
    notes = open_notes(path)
    commits = [objects.commit(objects.tree([], ""), [], f"Commit {k}") for k in range(330)]
    for k, commit in enumerate(commits):
        notes.put(commit, f"note {k}\n".encode())
    assert git(path, "ls-tree", "-d", REF).count("\n") > 100  # folders, not one long list
    assert len(git(path, "notes", "--ref", REF, "list").splitlines()) == 330
    for k in range(0, 330, 41):
        assert git(path, "notes", "--ref", REF, "show", commits[k]) == f"note {k}"
    assert len(git(path, "rev-list", REF).splitlines()) == 330
    fsck(path)


def test_notes_that_git_wrote_are_read_and_kept(archive: Archive) -> None:
    path = archive.path
    objects = Objects(path)
    commits = [objects.commit(objects.tree([], ""), [], f"Commit {k}") for k in range(4)]
    for commit in commits[:3]:
        git(path, "-c", "user.name=a", "-c", "user.email=b", "notes", "--ref", REF, "add", "-m", "hand", commit)
    assert "/" not in git(path, "ls-tree", "-r", "--name-only", REF)  # git's own layout for few notes
    open_notes(path).put(commits[3], b"ours\n")
    assert on_disk(path) == dict.fromkeys(commits[:3], b"hand\n") | {commits[3]: b"ours\n"}
    assert git(path, "notes", "--ref", REF, "show", commits[0]) == "hand"
    fsck(path)


def test_a_failed_write_changes_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refs, "LOCK_WAIT", 0.01)
    notes = open_notes(archive.path)
    notes.put("ab" * 20, b"first")
    lock = archive.path / f"{REF}.lock"
    lock.touch()
    with pytest.raises(ArchiveWriteError):
        notes.put("cd" * 20, b"second")
    assert set(notes.blobs()) == set(on_disk(archive.path)) == {"ab" * 20}
    lock.unlink()
    notes.put("cd" * 20, b"second")
    assert on_disk(archive.path) == {"ab" * 20: b"first", "cd" * 20: b"second"}
