"""Bundles and clones: another person goes on with what was written."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from evolve.archive import Archive
from evolve.errors import UserError
from evolve.individual import Offspring
from evolve.lineages.bundle import bundle
from evolve.lineages.replay import replay, replayed
from evolve.rundir import RunDirectory
from tests.archive.filling import fsck
from tests.lineages.synthetic import evaluator, grow, seed_genome, switched, workplace
from tests.stub import TOY

ARENA = {"arena_toml": (TOY / "arena.toml").read_text()}


def git(*arguments: object) -> str:
    settings = ["-c", "user.name=t", "-c", "user.email=t@t"]
    done = subprocess.run(["git", *settings, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A lineage of a crossover: #1 and #2 of the seed genome, #3 of #1, #4 of both, and #5 that is no ancestor."""
    with workplace(tmp_path / "run", evaluator({"S0": 0.1}), state=ARENA) as place:
        archive, base = place.archive, seed_genome(3)
        archive.add(Offspring(base, (), "seed", "The seed genome", 0))
        archive.add(Offspring(switched(base, S0=1), (0,), "catalogue", "Turn on S0", 1))
        archive.add(Offspring(switched(base, S2=5), (0,), "catalogue", "Beside", 1))
        archive.add(Offspring(switched(base, S1=1), (0,), "catalogue", "Turn on S1", 1))
        archive.add(Offspring(switched(base, S0=1, S1=1), (1, 3), "crossover", "Cross\nboth", 2))
        replay(place, "4", 3)
        archive.note_exchange(archive.individuals[1], {"time": 1.0, "reply": "secret thoughts"})
        archive.set_champion(archive.individuals[4])
    return tmp_path / "run"


def test_a_bundle_is_an_archive_of_the_lineage(run: Path, tmp_path: Path) -> None:
    told = bundle(str(run), "champion", str(tmp_path / "out" / "found.bundle"))
    assert "3 ancestors with 9 evaluations" in told and "git clone --mirror found.bundle found.git" in told
    git("clone", "-q", "--mirror", tmp_path / "out" / "found.bundle", tmp_path / "found.git")
    shutil.rmtree(run)
    fsck(tmp_path / "found.git")
    directory = RunDirectory.find(str(tmp_path / "found.git"))
    with Archive.open(directory.archive) as archive:
        assert [one.idea.split("\n")[0] for one in archive.individuals.values()] == [
            "The seed genome",
            "Turn on S0",
            "Turn on S1",
            "Cross",
        ]
        assert archive.resolve("champion").parents == (1, 2)
        result = replayed(archive, "champion")
        assert [step.name for step in result.steps] == ["#0", "#1", "#3"]
        assert result.replicates == 3
        assert not archive.exchanges()
        assert "arena_folder" not in archive.read_state()
    assert "secret" not in git("-C", tmp_path / "found.git", "log", "--all", "-p")
    assert not list((tmp_path / "out").glob(".bundle-*"))


def test_a_folder_has_patches_that_give_the_script_again(run: Path, tmp_path: Path) -> None:
    bundle(str(run), "4", str(tmp_path / "found"))
    folder = tmp_path / "found"
    readme = (folder / "README.md").read_text()
    assert "claimed by the search and replayed" in readme and "Total gain" in readme
    (tmp_path / "steps").mkdir()
    shutil.copy(folder / "base" / "train.py", tmp_path / "steps")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "Base"]):
        git("-C", tmp_path / "steps", *command)
    patches = sorted((folder / "patches").iterdir())
    assert len(patches) == 2
    git("-C", tmp_path / "steps", "am", "-q", "--keep-cr", *patches)
    assert (tmp_path / "steps" / "train.py").read_text() == (folder / "train.py").read_text()
    assert git("-C", tmp_path / "steps", "log", "-1", "--format=%s") == "Cross both"


def test_what_cannot_be_bundled_is_said(run: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    for ref, file, message in [
        ("4", "there", "exists already"),
        ("0", "new", "#0 is the seed genome"),
        ("77", "new", "no individual '77'"),
    ]:
        with pytest.raises(UserError, match=message):
            bundle(str(run), ref, str(tmp_path / file))


def test_a_mirror_clone_is_a_run_and_a_plain_one_says_what_it_lacks(run: Path, tmp_path: Path) -> None:
    archive = run / "archive.git"
    git("clone", "-q", "--mirror", archive, tmp_path / "mirror.git")
    git("clone", "-q", "--bare", archive, tmp_path / "bare.git")
    git("clone", "-q", archive, tmp_path / "tree")
    with workplace(run, evaluator({"S0": 0.1}), create=False) as place:
        expected = replayed(place.archive, "4")
    for name in ("mirror.git", "bare.git", "tree"):
        directory = RunDirectory.find(str(tmp_path / name))
        if name != "mirror.git":
            with pytest.raises(UserError, match="--mirror, or fetch the rest with `git fetch origin"):
                Archive.open(directory.archive)
            with pytest.raises(UserError) as told:
                Archive.open(directory.archive)
            fetch = str(told.value).split("`")[3]
            subprocess.run(fetch, shell=True, cwd=tmp_path / name, check=True, capture_output=True)
        with Archive.open(directory.archive, write=True) as clone:
            assert replayed(clone, "champion") == expected
        assert directory.trials.parent == directory.archive / "evolve"


def test_a_clone_goes_on_with_a_replay(run: Path, tmp_path: Path) -> None:
    git("clone", "-q", "--mirror", run / "archive.git", tmp_path / "run2" / "archive.git")
    with workplace(tmp_path / "run2", evaluator({"S0": 0.1}), create=False) as place:
        assert replay(place, "champion", 4).replicates == 4
    with workplace(tmp_path / "grown", evaluator({}), state=ARENA) as place:
        grow(place.archive, 1)
