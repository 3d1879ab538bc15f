"""Packs that we write are packs to git, and a damaged one is known."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.archive import Archive, files, plumbing
from evolve.archive.objects import Changes
from evolve.archive.packs import checkpoint_packs, is_whole, object_ids, remove, write_pack
from tests.archive.filling import STATE, git


@settings(max_examples=12, deadline=None)
@given(st.sets(st.one_of(st.binary(max_size=40), st.integers(1, 70_000).map(bytes)), min_size=1, max_size=40))
def test_git_reads_what_was_written(contents: set[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.git"
        Archive.create(path, STATE).close()
        changes = Changes()
        blobs = [changes.blob(content, "") for content in contents]
        changes.commit(changes.tree([], ""), [], "A commit")
        pack = write_pack(path, changes.objects)
        assert plumbing.read_many(path, blobs) == list(contents)
        assert sorted(object_ids(pack)) == sorted(changes.objects)
        subprocess.run(["git", "-C", str(path), "verify-pack", str(pack)], check=True)
        assert is_whole(pack) and pack in checkpoint_packs(path)


def test_git_sees_a_pack_only_when_it_is_whole(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """A packing at that moment would take half a pack for one of those that it has replaced, and remove it."""
    folder = archive.path / "objects" / "pack"
    before = set(folder.glob("*.idx"))
    seen: list[set[Path]] = []

    def rename(source: Path, target: Path) -> None:
        seen.append(set(folder.glob("*.idx")) - before)
        source.rename(target)

    monkeypatch.setattr(files, "rename", rename)
    changes = Changes()
    changes.blob(b"content", "")
    pack = write_pack(archive.path, changes.objects)
    assert seen == [set(), set()]
    assert set(folder.glob("*.idx")) - before == {pack.with_suffix(".idx")}


@pytest.mark.parametrize("suffix", [".pack", ".idx"])
@pytest.mark.parametrize("size", [0, 10, 60, -1])
def test_a_truncated_pack_is_not_whole(archive: Archive, suffix: str, size: int) -> None:
    changes = Changes()
    changes.blob(bytes(range(256)), "")
    pack = write_pack(archive.path, changes.objects)
    file = pack.with_suffix(suffix)
    data = file.read_bytes()
    file.unlink()
    file.write_bytes(data[:size])
    assert not is_whole(pack)
    file.unlink()
    assert not is_whole(pack)
    remove(pack)
    git(archive.path, "fsck")
