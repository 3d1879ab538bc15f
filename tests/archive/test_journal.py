"""The journal gives back what was appended, whatever happened to its end."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.archive import journal
from evolve.archive.journal import JOURNAL, PREVIOUS, Journal
from evolve.archive.objects import Changes

TEXT = st.text(max_size=8)


@st.composite
def changes(draw: st.DrawFn) -> Changes:
    made = Changes(
        refs=draw(st.dictionaries(TEXT, st.one_of(st.none(), TEXT), max_size=3)),
        notes=draw(st.dictionaries(TEXT, st.dictionaries(TEXT, TEXT, max_size=2), max_size=2)),
    )
    for data in draw(st.lists(st.binary(max_size=50), max_size=3)):
        made.blob(data, draw(TEXT))
    return made


@settings(max_examples=60, deadline=None)
@given(writes=st.lists(changes(), min_size=1, max_size=5), data=st.data())
def test_what_was_appended_before_a_damage_comes_back(writes: list[Changes], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        writer = Journal(Path(folder))
        sizes, expected = [], [Changes()]
        for write in writes:
            sizes.append(writer.append(write))
            expected.append(expected[-1].copy())
            expected[-1].add(write)
        writer.close(remove=False)
        content = (Path(folder) / JOURNAL).read_bytes()
        whole = journal.read(content)
        assert (whole.changes, whole.writes, whole.torn) == (expected[-1], len(writes), 0)
        at = data.draw(st.integers(0, len(content) - 1))
        before = sum(size <= at for size in sizes) - 1  # writes that end before the damage
        cut = journal.read(content[:at])
        assert (cut.changes, cut.writes) == (expected[before], before)
        flipped = content[:at] + bytes([content[at] ^ 0x15]) + content[at + 1 :]
        assert journal.read(flipped).changes == expected[before]


def test_an_append_can_be_taken_back(tmp_path: Path) -> None:
    writer = Journal(tmp_path)
    writer.append(Changes(refs={"a": "1"}))
    writer.undo(writer.append(Changes(refs={"b": "2"})))
    writer.append(Changes(refs={"c": "3"}))
    assert journal.read(journal.load(tmp_path / JOURNAL)).changes.refs == {"a": "1", "c": "3"}
    writer.close(remove=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("remove", [True, False])
def test_a_checkpoint_keeps_one_generation(tmp_path: Path, remove: bool) -> None:
    writer = Journal(tmp_path)
    for ref in "abc":
        writer.append(Changes(refs={ref: "1"}))
        writer.checkpoint()
    writer.append(Changes(refs={"d": "1"}))
    read = {name: journal.read(journal.load(tmp_path / name)).changes.refs for name in (JOURNAL, PREVIOUS)}
    assert read == {JOURNAL: {"d": "1"}, PREVIOUS: {"c": "1"}}
    assert journal.left_behind(tmp_path)
    writer.close(remove=remove)
    assert journal.left_behind(tmp_path) != remove
