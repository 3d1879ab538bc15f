"""A clone of an archive alone is enough to look at a run and to go on with its lineages."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pandas as pd
import pytest

from analysis import Frames, ablation, load
from analysis.__main__ import main as analysis_main
from evolve.archive.repository import Archive
from evolve.cli import main
from evolve.errors import UserError
from evolve.individual import Offspring
from evolve.rundir import RunDirectory
from evolve.variation.catalogue import substitute
from tests.command import TOY, evolve


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small search, its champion, and a lineage of two steps beside it, the branch `mine`."""
    folder = tmp_path_factory.mktemp("home") / "first"
    done = evolve("--arena", TOY, "--out", folder, "--pop", 2, "--gens", 2, "--confirm", 0, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    with Archive.open(folder / "archive.git", write=True) as archive:
        one = archive.individuals[0]
        for values in ({"WIDTH": 4.0}, {"DEPTH": 6}):
            text = substitute(one.genome, values)
            one = archive.add(Offspring(text, (one.id,), "catalogue", f"Set {values}", one.generation + 1))
        archive.set_branch("mine", one)
        archive.set_elite([one, archive.individuals[0]])
    return folder


def cloned(searched: Path, folder: Path, kind: str) -> Path:
    """A clone as a person makes it: `mirror`, or with a work tree and the command that the first try prints."""
    if kind == "mirror":
        subprocess.run(["git", "clone", "-q", "--mirror", str(searched / "archive.git")], cwd=folder, check=True)
        return folder / "archive.git"
    subprocess.run(["git", "clone", "-q", str(searched / "archive.git"), "tree"], cwd=folder, check=True)
    with pytest.raises(UserError) as told:
        load(folder / "tree")
    fetch = str(told.value).split("`")[3]
    subprocess.run(fetch, shell=True, cwd=folder / "tree", check=True, capture_output=True)
    return folder / "tree"


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if ".git" not in path.parts[:-1]}


@pytest.mark.parametrize("kind", ["mirror", "tree"])
def test_a_clone_is_enough(
    kind: str, searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trials").mkdir()  # of the person whose folder this is
    (tmp_path / "trials" / "notes.txt").write_text("mine")
    clone = cloned(searched, tmp_path, kind)
    before = load(searched)
    same(load(clone), before)
    replayed = evolve("replay", clone, "mine", "--replicates", 2, cwd=tmp_path)
    assert replayed.returncode == 0 and "Total gain" in replayed.stdout, replayed.stdout + replayed.stderr
    ablated = evolve("ablate", clone, "mine", "--replicates", 2, cwd=tmp_path)
    assert ablated.returncode == 0 and "Set {'DEPTH': 6}" in ablated.stdout, ablated.stdout + ablated.stderr
    assert len(ablation(clone, "mine")["gain"].dropna()) == 2
    after = load(clone)
    same(after, before)
    assert after.derived["name"].tolist() == ["d0", "d1"] and len(after.studies) == 12
    monkeypatch.chdir(tmp_path)
    for arguments, words in (
        (["status", str(clone)], "the search sees none of them"),
        (["show", str(clone), "mine"], "Set {'DEPTH': 6}"),
        (["show", str(clone), "d1"], "operator ablation"),
        (["export", str(clone), "rows.csv"], "rows.csv"),
        (["bundle", str(clone), "mine", "found.bundle"], "found.bundle"),
        (["bundle", str(clone), "mine", "found"], "found"),
    ):
        assert main(arguments) == 0
        assert words in capsys.readouterr().out, arguments
    assert len(pd.read_csv("rows.csv")) == len(before.evaluations) + 2 + len(after.studies)  # 2 without an evaluation
    report = tmp_path / ("first-report.html" if kind == "mirror" else "tree/report.html")
    assert analysis_main(["report", str(clone)]) == 0
    name = "first" if kind == "mirror" else "tree"
    assert f"<title>{name} · evolve</title>" in report.read_text() and str(report) in capsys.readouterr().out
    # A clone's own files, what was asked for, and nothing else.
    asked = {"trials", "trials/notes.txt", "rows.csv", "found.bundle", str(report.relative_to(tmp_path))}
    made = {"archive.git"} if kind == "mirror" else {"tree", "tree/.git", "tree/train.py", "tree/individual.json"}
    inside = {path for path in files_in(tmp_path) if path.startswith(("found", "archive.git/"))} - {"found.bundle"}
    assert files_in(tmp_path) - inside == asked | made
    assert not list(clone.rglob("report.html")) or kind == "tree"


def same(clone: Frames, run: Frames) -> None:
    """All that the search has in its own archive is in the clone."""
    for table in ("individuals", "evaluations"):
        pd.testing.assert_frame_equal(getattr(clone, table), getattr(run, table))
    assert (clone.champion, clone.noise) == (run.champion, run.noise)


def test_work_on_top_of_a_branch_leaves_the_champion_who_it_is(searched: Path, tmp_path: Path) -> None:
    clone = cloned(searched, tmp_path, "tree")
    (clone / "train.py").write_text("# something of my own\n")
    identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run(["git", *identity, "commit", "-qam", "By hand"], cwd=clone, check=True)
    same(load(clone), load(searched))


@pytest.mark.parametrize(
    ("clone", "called"),
    [
        (["--mirror"], "first"),
        (["--mirror", "mine.git"], "mine"),
        ([], "first"),
        (["mine"], "mine"),
    ],
)
def test_what_a_clone_is_called(clone: list[str], called: str, searched: Path, tmp_path: Path) -> None:
    options = [word for word in clone if word.startswith("-")]
    names = [word for word in clone if not word.startswith("-")]
    command = ["git", "clone", "-q", *options, str(searched / "archive.git"), *names]
    subprocess.run(command, cwd=tmp_path, check=True)
    (made,) = tmp_path.iterdir()
    directory = RunDirectory.find(str(made))
    assert directory.name == called
    assert directory.path.is_relative_to(directory.archive)
