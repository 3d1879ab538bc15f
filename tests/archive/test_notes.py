"""A notes reference against a plain dict, and against git's own reading and writing of notes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.archive import Archive, plumbing
from evolve.archive.objects import Changes
from evolve.archive.store import Store
from tests.archive.filling import STATE, fsck, git

REF = "refs/notes/test"
# Few different first digits, so that folders are shared; git takes any object's name for an annotated one.
COMMITS = st.tuples(st.sampled_from(["00", "ab", "ff"]), st.integers(0, 7)).map(lambda t: t[0] + f"{t[1]:038x}")
PUTS = st.lists(st.tuples(COMMITS, st.binary(max_size=20)), min_size=1, max_size=12)


def put(store: Store, commit: str, text: bytes) -> None:
    changes = Changes()
    changes.notes[REF] = {commit: changes.blob(text, REF)}
    store.write(changes)


def on_disk(path: Path) -> dict[str, bytes]:
    store = Store(path, write=False)
    blobs = store.notes(REF)
    store.close()
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
            store = Store(path, write=True)
            for commit, text in puts:
                put(store, commit, text)
                expected[commit] = text
            assert on_disk(path) == expected
            listed = [line.split(" ") for line in git(path, "notes", "--ref", REF, "list").splitlines()]
            assert {commit: blob for blob, commit in listed} == store.notes(REF)
            store.close()


def annotated(archive: Archive, count: int) -> list[str]:
    changes = Changes()
    commits = [changes.commit(changes.tree([], ""), [], f"Commit {k}") for k in range(count)]
    changes.refs = {f"refs/heads/commit-{k}": commit for k, commit in enumerate(commits)}
    archive._store.write(changes)
    return commits


def test_git_shows_every_note_of_many(archive: Archive) -> None:
    path = archive.path
    commits = annotated(archive, 330)
    for k, commit in enumerate(commits):
        put(archive._store, commit, f"note {k}\n".encode())
    assert git(path, "ls-tree", "-d", REF).count("\n") > 100  # folders, not one long list
    assert len(git(path, "notes", "--ref", REF, "list").splitlines()) == 330
    for k in range(0, 330, 41):
        assert git(path, "notes", "--ref", REF, "show", commits[k]) == f"note {k}"
    assert len(git(path, "rev-list", REF).splitlines()) == 330
    fsck(path)


def test_notes_gathered_are_one_commit(archive: Archive) -> None:
    path = archive.path
    commits = annotated(archive, 40)
    put(archive._store, commits[0], b"first\n")
    with archive._store.gathering():
        for k, commit in enumerate(commits):
            put(archive._store, commit, f"note {k}\n".encode())
    assert len(git(path, "rev-list", REF).splitlines()) == 2
    assert on_disk(path) == {commit: f"note {k}\n".encode() for k, commit in enumerate(commits)}
    fsck(path)


def test_notes_that_git_wrote_are_read_and_kept(archive: Archive) -> None:
    path = archive.path
    commits = annotated(archive, 4)
    archive.close()
    for commit in commits[:3]:
        git(path, "-c", "user.name=a", "-c", "user.email=b", "notes", "--ref", REF, "add", "-m", "hand", commit)
    assert "/" not in git(path, "ls-tree", "-r", "--name-only", REF)  # git's own layout for few notes
    store = Store(path, write=True)
    put(store, commits[3], b"ours\n")
    store.close()
    assert on_disk(path) == dict.fromkeys(commits[:3], b"hand\n") | {commits[3]: b"ours\n"}
    assert git(path, "notes", "--ref", REF, "show", commits[0]) == "hand"
    fsck(path)
