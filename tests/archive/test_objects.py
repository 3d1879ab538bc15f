"""Objects that we serialise are the ones git would have written."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.archive import Archive
from evolve.archive.objects import FILE_MODE, FOLDER_MODE, Changes, Entry, object_id, read_tree, tree_data
from evolve.archive.packs import write_pack
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
    changes = Changes()
    blob = changes.blob(b"text", "")
    folder = changes.tree([Entry(FILE_MODE, "inside", blob)], "")
    # To git the folder `a` is `a/`, which comes after `a-` and `a.py`.
    entries = [Entry(FOLDER_MODE, "a", folder), Entry(FILE_MODE, "a-", blob), Entry(FILE_MODE, "a.py", blob)]
    ours = changes.tree(entries, "")
    write_pack(archive.path, changes.objects)
    lines = "".join(
        f"{e.mode.zfill(6)} {'tree' if e.mode == FOLDER_MODE else 'blob'} {e.id}\t{e.name}\n" for e in entries
    )
    theirs = subprocess.run(
        ["git", "-C", str(archive.path), "mktree"], input=lines.encode(), capture_output=True, check=True
    )
    assert ours == theirs.stdout.decode().strip()


def test_a_commit_reads_as_written(archive: Archive) -> None:
    changes = Changes()
    tree = changes.tree([], "")
    first = changes.commit(tree, [], "First\n\nWith a body, a \0 and a lone \ud83d.\n\n")
    second = changes.commit(tree, [first], "Second")
    write_pack(archive.path, changes.objects)
    assert git(archive.path, "log", "--format=%P|%an <%ae>|%B", second).splitlines() == [
        f"{first}|evolve <evolve@localhost>|Second",
        "",
        "|evolve <evolve@localhost>|First",
        "",
        "With a body, a  and a lone ?.",
    ]


def test_later_changes_count() -> None:
    first = Changes(refs={"a": "1", "b": "1"}, notes={"n": {"x": "1", "y": "1"}})
    first.add(Changes(refs={"b": None, "c": "2"}, notes={"n": {"y": "2"}, "m": {"x": "2"}}))
    assert first.refs == {"a": "1", "b": None, "c": "2"}
    assert first.notes == {"n": {"x": "1", "y": "2"}, "m": {"x": "2"}}
    assert first and not Changes()
