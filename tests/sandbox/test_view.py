"""What a view shows and hides, as laws over folders nested in any way."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.sandbox.view import Do, View, is_within, open_paths, steps

PARTS = st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map("/".join)
LEAVES = [f"{a}/{b}/{c}/{d}" for a in "ab" for b in "ab" for c in "ab" for d in "ab"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tree of folders four levels deep, and a scratch folder beside it."""
    root = tmp_path_factory.mktemp("tree").resolve()
    for path in [*LEAVES, "scratch/tmp"]:
        (root / path).mkdir(parents=True)
    return str(root)


def view_of(root: str, readable: set[str], hidden: set[str]) -> View:
    return View.make(f"{root}/scratch", [f"{root}/{path}" for path in readable], [f"{root}/{path}" for path in hidden])


def shown(path: str, view: View) -> bool:
    """Whether the most specific entry of a view above a path is a readable one."""
    entries = [(len(entry), True) for entry in view.readable if is_within(path, entry)]
    entries += [(len(entry), False) for entry in view.hidden if is_within(path, entry)]
    return max(entries, default=(0, False))[1]


@given(readable=st.sets(PARTS, max_size=4), hidden=st.sets(PARTS, max_size=4))
def test_both_ways_to_enforce_a_view_show_the_same(root: str, readable: set[str], hidden: set[str]) -> None:
    view = view_of(root, readable, hidden)
    allowed = open_paths(view)
    mounts = [step for step in steps(view) if step.do in (Do.SHOW, Do.EMPTY, Do.OFFER)]
    for leaf in LEAVES:
        path = f"{root}/{leaf}"
        assert any(is_within(path, one) for one in allowed) == shown(path, view)
        top = [step for step in mounts if is_within(path, step.path)][-1:]  # the last mount is on top
        assert bool(top and top[0].do is Do.SHOW) == shown(path, view)


@given(readable=st.sets(PARTS, min_size=1, max_size=4), hidden=st.sets(PARTS, max_size=4))
def test_mounts_come_after_those_they_lie_upon(root: str, readable: set[str], hidden: set[str]) -> None:
    planned = steps(view_of(root, readable, hidden))
    mounts = [step.path for step in planned if step.do not in (Do.SEAL, Do.LINK)]
    for number, path in enumerate(mounts):
        assert not any(is_within(earlier, path) for earlier in mounts[:number])
    assert {step.path for step in planned if step.do is Do.SEAL} >= {"/", "/dev"}


def test_names_that_are_links_lead_to_what_they_name(tmp_path: Path) -> None:
    (tmp_path / "real" / "inside").mkdir(parents=True)
    (tmp_path / "scratch").mkdir()
    (tmp_path / "link").symlink_to("real")
    link, real = str(tmp_path / "link"), str(tmp_path / "real")
    view = View.make(str(tmp_path / "scratch"), [link, f"{link}/inside", str(tmp_path / "gone")])
    assert view.readable == (real, f"{real}/inside")
    assert view.links == ((link, real),)
    assert [step.path for step in steps(view) if step.do is Do.SHOW and step.path.startswith(real)] == [real]


def test_a_link_beside_something_hidden_opens_nothing(tmp_path: Path) -> None:
    for name in ("seen/hidden", "seen/plain", "elsewhere", "scratch"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "seen" / "way-out").symlink_to(tmp_path / "elsewhere")
    view = View.make(str(tmp_path / "scratch"), [str(tmp_path / "seen")], [str(tmp_path / "seen" / "hidden")])
    assert open_paths(view) == [str(tmp_path / "seen" / "plain")]
