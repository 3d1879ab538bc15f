"""Objects that we serialise are the ones git would have written."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.archive import Archive
from evolve.archive.objects import FILE_MODE, FOLDER_MODE, Entry, Objects, object_id, read_tree, tree_data
from tests.archive.filling import git

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
IDS = st.binary(min_size=20, max_size=20).map(bytes.hex)


@given(st.dictionaries(NAMES, st.tuples(st.sampled_from([FILE_MODE, FOLDER_MODE]), IDS)))
def test_a_tree_reads_back(names: dict[str, tuple[str, str]]) -> None:
    entries = [Entry(mode, name, id) for name, (mode, id) in names.items()]
    assert sorted(read_tree(tree_data(entries))) == sorted(entries)


@pytest.mark.parametrize("data", [b"", b"x = 1\n", "ü\r\n".encode(), bytes(range(256)) * 300])
def test_ids_are_those_of_git(data: bytes) -> None:
    said = subprocess.run(["git", "hash-object", "--stdin"], input=data, capture_output=True, check=True)
    assert object_id("blob", data) == said.stdout.decode().strip()


def test_git_orders_a_tree_as_we_do(archive: Archive) -> None:
    objects = Objects(archive.path)
    blob = objects.blob(b"text", "")
    folder = objects.tree([Entry(FILE_MODE, "inside", blob)], "")
    # To git the folder `a` is `a/`, which comes after `a-` and `a.py`.
    entries = [Entry(FOLDER_MODE, "a", folder), Entry(FILE_MODE, "a-", blob), Entry(FILE_MODE, "a.py", blob)]
    ours = objects.tree(entries, "")
    lines = "".join(
        f"{e.mode.zfill(6)} {'tree' if e.mode == FOLDER_MODE else 'blob'} {e.id}\t{e.name}\n" for e in entries
    )
    theirs = subprocess.run(
        ["git", "-C", str(archive.path), "mktree"], input=lines.encode(), capture_output=True, check=True
    )
    assert ours == theirs.stdout.decode().strip()


def test_a_commit_reads_as_written(archive: Archive) -> None:
    objects = Objects(archive.path)
    tree = objects.tree([], "")
    first = objects.commit(tree, [], "First\n\nWith a body, a \0 and a lone \ud83d.\n\n")
    second = objects.commit(tree, [first], "Second")
    assert git(archive.path, "log", "--format=%P|%an <%ae>|%B", second).splitlines() == [
        f"{first}|evolve <evolve@localhost>|Second",
        "",
        "|evolve <evolve@localhost>|First",
        "",
        "With a body, a  and a lone ?.",
    ]


def test_equal_objects_are_written_once_and_nothing_half_written_stays(archive: Archive) -> None:
    objects = Objects(archive.path)
    assert objects.blob(b"same", "") == objects.blob(b"same", "")
    assert len(objects.hand_over()) == 1
    assert not list((archive.path / "objects").rglob("tmp_*"))


def test_the_number_of_loose_files_is_known_to_the_next_engine(archive: Archive) -> None:
    writer = Objects(archive.path)
    for number in range(2000):
        writer.blob(b"%d" % number, "")
    assert writer.loose >= 2000
    assert 800 < Objects(archive.path).loose < 4000


def test_temporary_files_of_a_killed_writer_are_removed(archive: Archive) -> None:
    left = archive.path / "objects" / "00" / f"tmp_obj_evolve_{'0' * 40}"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half")
    Archive.open(archive.path).close()
    assert left.exists()
    Archive.open(archive.path, write=True).close()
    assert not left.exists()
