"""References written beside git's own programs."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from evolve.archive import Archive, ArchiveWriteError, plumbing, refs
from evolve.archive.objects import Changes
from evolve.archive.packs import write_pack
from evolve.archive.refs import Refs, remove_stale_locks
from tests.archive.filling import git


@pytest.fixture
def path(archive: Archive) -> Path:
    return archive.path


def commits(path: Path, count: int) -> list[str]:
    changes = Changes()
    made = [changes.commit(changes.tree([], ""), [], f"Commit {k}") for k in range(count)]
    write_pack(path, changes.objects)
    return made


def test_written_references_are_git_references(path: Path) -> None:
    one, two = commits(path, 2)
    names = Refs(path, {})
    names.write({"refs/heads/deep/er/branch": one, "refs/heads/other": one})
    names.write({"refs/heads/other": two})
    assert git(path, "rev-parse", "refs/heads/deep/er/branch", "other").split() == [one, two]
    assert names.under("refs/heads/") == {"deep/er/branch": one, "other": two}


def test_unchanged_references_are_not_written(path: Path) -> None:
    (one,) = commits(path, 1)
    names = Refs(path, {})
    names.write({"refs/heads/a": one})
    before = (path / "packed-refs").stat().st_ino
    names.write({"refs/heads/a": one})
    assert (path / "packed-refs").stat().st_ino == before


def test_deletion(path: Path) -> None:
    (one,) = commits(path, 1)
    names = Refs(path, {})
    names.write({"refs/heads/a": one, "refs/heads/b": one})
    names.write({"refs/heads/a": None})
    assert git(path, "for-each-ref", "--format=%(refname)", "refs/heads") == "refs/heads/b"
    assert names.get("refs/heads/a") is None


def test_what_a_user_named_stays(path: Path) -> None:
    one, two = commits(path, 2)
    names = Refs(path, plumbing.list_refs(path))
    git(path, "branch", "mine", one)
    git(path, "-c", "user.name=a", "-c", "user.email=b", "tag", "-a", "-m", "said", "remark", one)
    names.write({"refs/heads/a": one})
    git(path, "pack-refs", "--all")
    names.write({"refs/heads/a": two})
    assert git(path, "rev-parse", "mine", "remark^{commit}", "a").split() == [one, one, two]
    assert git(path, "tag", "-n") == "remark          said"


def test_a_users_file_does_not_hide_what_is_written(path: Path) -> None:
    one, two = commits(path, 2)
    names = Refs(path, {})
    names.write({"refs/heads/a": one})
    git(path, "update-ref", "refs/heads/a", two)
    git(path, "update-ref", "refs/heads/a", one)
    assert (path / "refs" / "heads" / "a").exists()
    names.write({"refs/heads/a": two})
    assert git(path, "rev-parse", "a") == two


def test_a_lock_is_waited_for(path: Path) -> None:
    (one,) = commits(path, 1)
    lock = path / "packed-refs.lock"
    lock.touch()
    timer = threading.Timer(0.1, lock.unlink)
    timer.start()
    Refs(path, {}).write({"refs/heads/a": one})
    timer.join()
    assert git(path, "rev-parse", "a") == one


def test_a_lock_that_stays_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refs, "LOCK_WAIT", 0.01)
    (one,) = commits(path, 1)
    names = Refs(path, {})
    lock = path / "packed-refs.lock"
    lock.touch()
    with pytest.raises(ArchiveWriteError, match=r"packed-refs\.lock"):
        names.write({"refs/heads/a": one})
    assert names.get("refs/heads/a") is None
    remove_stale_locks(path)
    names.write({"refs/heads/a": one})
    assert git(path, "rev-parse", "a") == one


@pytest.mark.parametrize("damage", [b"", b"# pack-refs", b"garbage\n"])
def test_a_damaged_file_is_not_built_upon(path: Path, damage: bytes) -> None:
    (one,) = commits(path, 1)
    (path / "packed-refs").write_bytes(damage)
    with pytest.raises(ArchiveWriteError, match="damaged"):
        Refs(path, {}).write({"refs/heads/a": one})
    assert (path / "packed-refs").read_bytes() == damage
    assert not (path / "packed-refs.lock").exists()


def test_writing_while_git_packs_loses_nothing(path: Path) -> None:
    stop = path / "stop"
    script = f"until [ -e '{stop}' ]; do git --git-dir='{path}' pack-refs --all; done"
    names = Refs(path, plumbing.list_refs(path))
    made = commits(path, 150)
    with subprocess.Popen(["sh", "-c", script], stderr=subprocess.DEVNULL):
        for k, commit in enumerate(made):
            names.write(
                {f"refs/individuals/{k}": commit, "refs/heads/champion": commit, f"refs/heads/elite/{k % 3}": commit}
            )
        stop.touch()
    assert plumbing.list_refs(path) == {f"refs/{name}": id for name, id in names.under("refs/").items()}
