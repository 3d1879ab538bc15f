"""A clock that goes backwards: order in the archive is by number, never by time."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from evolve.archive import Archive
from tests.archive.filling import STATE, contents, fsck, grow
from tests.stub import evolve, story


def test_a_search_does_not_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = story(evolve(tmp_path / "straight", gens=4))
    backwards = itertools.count(2_000_000_000, -3600)
    monkeypatch.setattr(time, "time", lambda: float(next(backwards)))
    for gens in (2, 4):
        evolution = evolve(tmp_path / "back", gens=gens)
    assert story(evolution) == expected
    monkeypatch.undo()
    with Archive.open(tmp_path / "back" / "archive.git") as archive:
        assert [one.id for one, _ in archive.in_order()] == [one.id for one, _ in evolution.archive.in_order()]
    fsck(tmp_path / "back" / "archive.git")


def test_the_turns_of_a_draft_stay_in_their_order(tmp_path: Path) -> None:
    with Archive.create(tmp_path / "a.git", STATE) as archive:
        one, two = grow(archive, 2)
        for turn, at in enumerate((900.0, 500.0, 100.0)):
            archive.note_exchange(one, {"time": at, "turn": turn})
        archive.note_exchange(two, {"time": 700.0, "turn": 0})
        before = contents(archive)
    with Archive.open(tmp_path / "a.git") as archive:
        turns = [(individual.id, line["turn"]) for individual, line in archive.exchanges()]
        assert turns == [(1, 0), (0, 0), (0, 1), (0, 2)]
        assert contents(archive) == before
