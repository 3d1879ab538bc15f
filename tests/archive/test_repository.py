"""The archive as its users see it: the engine, a reader beside it, and git itself."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from evolve.archive import Archive, state
from evolve.archive.packs import checkpoint_packs, object_ids, remove
from evolve.errors import UserError
from evolve.individual import Fitness, MaximisedFitness, MinimisedFitness, Offspring
from tests.archive.filling import STATE, contents, fsck, genome, git, grow, offspring, outcome


def test_an_individual_is_a_commit_with_its_genome_and_its_parents(archive: Archive) -> None:
    seed = archive.add(offspring(0), id=0)
    other = archive.add(offspring(1, 0))
    child = archive.add(offspring(2, 1, 0, idea="Merge  both\nof them", body="Line one\n\nLine two\n"))
    path = archive.path
    assert [seed.id, other.id, child.id] == [0, 1, 2]
    assert git(path, "rev-parse", "refs/individuals/2") == child.commit
    assert git(path, "rev-parse", f"{child.commit}^@").split() == [other.commit, seed.commit]
    assert git(path, "ls-tree", "--name-only", child.commit).split() == ["individual.json", "train.py"]
    assert git(path, "show", f"{child.commit}:train.py") + "\n" == genome(2) == child.genome
    assert json.loads(git(path, "show", f"{child.commit}:individual.json")) == {
        "operator": "catalogue",
        "model": "a-model",
        "description": "Merge  both\nof them",
        "generation": 1,
        "cost": {"tokens": 12.0},
    }
    assert git(path, "log", "-1", "--format=%B", child.commit) == "Merge both of them\n\nLine one\n\nLine two"
    fsck(path)


def test_a_long_idea_is_cut_in_the_subject_alone(archive: Archive) -> None:
    idea = "Because of this and that, " * 20
    individual = archive.add(offspring(0, idea=idea))
    subject = git(archive.path, "log", "-1", "--format=%s", individual.commit)
    assert len(subject) == 120 and subject.endswith("…")
    with Archive.open(archive.path) as again:
        assert again.individuals[0].idea == idea


@pytest.mark.parametrize("text", ["", "x = 'ü'\r\n\r\n", "no end of line", "\ufeffx = 1\n", "a\0b\n"])
def test_a_genome_comes_back_as_it_was(archive: Archive, text: str) -> None:
    archive.add(Offspring(text, (), "seed", "", 0))
    with Archive.open(archive.path) as again:
        assert again.individuals[0].genome == text
        assert again.find(text) == 0


@pytest.mark.parametrize("words", ["", " \n ", "a\0b", "a lone \ud800", "ünïcode …"])
def test_any_words_make_a_sound_commit(archive: Archive, words: str) -> None:
    archive.add(Offspring("x = 1\n", (), "seed", words, 0, body=words))
    fsck(archive.path)
    with Archive.open(archive.path) as again:
        assert again.individuals[0].operator == "seed"


def test_find_knows_the_first_individual_with_a_text(archive: Archive) -> None:
    archive.add(offspring(0))
    archive.add(offspring(1, 0))
    archive.add(Offspring(genome(0), (1,), "catalogue", "Back again", 2))
    assert archive.find(genome(0)) == 0
    assert archive.find(genome(1)) == 1
    assert archive.find(genome(0) + "\n") is None
    with Archive.open(archive.path) as again:
        assert (again.find(genome(0)), again.find(genome(1)), again.find("")) == (0, 1, None)


def test_a_resume_sees_what_the_engine_saw(archive: Archive) -> None:
    grow(archive, 5)
    archive.add(offspring(5, 4, 2))
    archive.add(offspring(6, 5))
    archive.record(archive.individuals[2], outcome(1.25, replicate=1, seconds={"total": 6.123456}, started=1.23456))
    failure = outcome(None, reason="It\ncrashed", tail="Traceback ü", curve=[(0.5, float("3.14159265"))])
    archive.record(archive.individuals[5], failure)
    archive.record(archive.individuals[0], outcome(1.75, replicate=1))
    archive.set_elite([archive.individuals[2], archive.individuals[0]])
    archive.set_champion(archive.individuals[2])
    archive.write_state({**STATE, "births": 7})
    expected = contents(archive)
    assert expected["pending"] == [6]
    with Archive.open(archive.path, write=True) as again:
        assert contents(again) == expected
        again.record(again.individuals[6], outcome(1.0))
        assert [i.id for i, _ in again.in_order()] == [0, 1, 2, 3, 4, 2, 5, 0, 6]
    fsck(archive.path)


def test_curves_stay_on_disk(archive: Archive) -> None:
    individual = archive.add(offspring(0))
    curve = [(0.5, 3.25), (1.0, 2.5)]
    archive.record(individual, outcome(2.0))
    archive.record(individual, outcome(2.0, replicate=1, curve=curve, tail="done"))
    assert [(o.curve, o.tail) for o in individual.outcomes] == [([], ""), ([], "")]
    expected = [{"n": 0, "curve": [], "tail": ""}, {"n": 1, "curve": curve, "tail": "done"}]
    assert archive.curves(individual) == expected
    with Archive.open(archive.path) as again:
        assert again.curves(again.individuals[0]) == expected


def test_a_curve_without_its_outcome_is_no_evaluation(archive: Archive) -> None:
    one, two = archive.add(offspring(0)), archive.add(offspring(1, 0))
    # As an older evolve, killed between the two notes, left it: number 0 went to nobody, then to another individual.
    lost = '{"n": 0, "curve": [[1.0, 9.0]], "tail": "lost"}'
    git(archive.path, "-c", "user.name=a", "-c", "user.email=b", "notes", "--ref=curves", "add", "-m", lost, one.commit)
    with Archive.open(archive.path, write=True) as again:
        assert again.in_order() == [] and len(again.pending()) == 2
        again.record(again.individuals[two.id], outcome(1.5, tail="two"))
        again.record(again.individuals[one.id], outcome(1.5, tail="one"))
        assert [c["tail"] for c in again.curves(again.individuals[one.id])] == ["one"]
        assert [c["tail"] for c in again.curves(again.individuals[two.id])] == ["two"]
        assert contents(again)["order"] == [(i.id, o) for i, o in again.in_order()]


def test_git_log_shows_the_lineage_with_its_scores(archive: Archive) -> None:
    grow(archive, 3)
    archive.record(archive.individuals[1], outcome(1.9, replicate=1, curve=[(1.0, 2.0)], tail="noise"))
    archive.set_champion(archive.individuals[2])
    log = git(archive.path, "log", "--graph", "--oneline", "--notes=evolve", "champion")
    assert [line for line in ("Idea 0", "Idea 1", "Idea 2") if line in log] == ["Idea 0", "Idea 1", "Idea 2"]
    assert log.count('{"score": ') == 4 and '{"score": 1.9, "status": "ok", "replicate": 1' in log
    assert "noise" not in log and "curve" not in log
    assert len(git(archive.path, "notes", "--ref=evolve", "show", archive.individuals[1].commit).splitlines()) == 2


def test_remarks_of_a_user_stay(archive: Archive) -> None:
    individual = archive.add(offspring(0))
    archive.record(individual, outcome(1.5))
    archive.close()
    user = ("-c", "user.name=a", "-c", "user.email=b")
    git(archive.path, *user, "notes", "--ref=evolve", "append", "-m", "Look at this", individual.commit)
    with Archive.open(archive.path, write=True) as again:
        again.record(again.individuals[0], outcome(1.4, replicate=1))
        assert again.individuals[0].scores == [1.5, 1.4]
    assert "Look at this" in git(archive.path, "notes", "--ref=evolve", "show", individual.commit)


def heads(path: Path) -> dict[str, str]:
    lines = git(path, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads").splitlines()
    return dict(line.split() for line in lines)


def test_branches_follow_elite_and_champion(archive: Archive) -> None:
    a, b, c = (individual.commit for individual in grow(archive, 3))
    one, two, three = archive.individuals.values()
    archive.set_elite([three, two, one])
    archive.set_champion(two)
    archive.maintain(wait=True)  # packed references can be deleted, too
    archive.set_elite([one, three])
    archive.set_champion(three)
    expected = {"elite/0": a, "elite/1": c, "champion": c, "lineage/1": b, "lineage/2": c}
    assert heads(archive.path) == expected
    with Archive.open(archive.path, write=True) as again:
        again.set_elite([again.individuals[0]])
    assert heads(archive.path) == {name: commit for name, commit in expected.items() if name != "elite/1"}


def test_a_clone_checks_the_champion_out(archive: Archive, tmp_path: Path) -> None:
    grow(archive, 3)
    archive.set_champion(archive.individuals[1])
    archive.maintain(wait=True)
    git(tmp_path, "clone", "--quiet", str(archive.path), "clone")
    assert (tmp_path / "clone" / "train.py").read_text() == genome(1)
    assert git(tmp_path / "clone", "branch", "--show-current") == "champion"


def test_state_keeps_its_history(archive: Archive) -> None:
    assert archive.read_state() == STATE
    archive.write_state({**STATE, "births": 1, "nested": {"list": [1, None, "ü"]}})
    archive.write_state({**STATE, "births": 2})
    archive.write_state({**STATE, "births": 2})
    assert archive.read_state() == {**STATE, "births": 2}
    assert len(git(archive.path, "rev-list", "refs/evolve/state").splitlines()) == 3
    assert json.loads(git(archive.path, "show", "refs/evolve/state~1:state.json"))["nested"]["list"][2] == "ü"
    for key in STATE:
        with pytest.raises(ValueError, match="cannot change"):
            archive.write_state({**STATE, key: "max"})


@pytest.mark.parametrize(("direction", "kind"), [("min", MinimisedFitness), ("max", MaximisedFitness)])
def test_fitness_has_the_direction_of_the_state(tmp_path: Path, direction: str, kind: type[Fitness]) -> None:
    with Archive.create(tmp_path / "a.git", {"script": "t.py", "direction": direction}) as archive:
        grow(archive, 1)
        with Archive.open(archive.path) as again:
            assert {type(i.fitness) for i in (archive.individuals[0], again.individuals[0])} == {kind}


# Refusals


def test_wrong_calls_change_nothing(archive: Archive) -> None:
    (individual,) = grow(archive, 1)
    before = contents(archive)
    with pytest.raises(ValueError, match="the next individual is 1"):
        archive.add(offspring(1, 0), id=2)
    with pytest.raises(ValueError, match=r"unknown parents \[7\]"):
        archive.add(offspring(1, 0, 7))
    with pytest.raises(UnicodeEncodeError):
        archive.add(Offspring("x = '\ud800'", (0,), "catalogue", "idea", 1))
    with pytest.raises(ValueError, match="outcome of individual 3 given for 0"):
        archive.record(individual, outcome(1.0, individual=3))
    with Archive.open(archive.path) as reader:
        with pytest.raises(ValueError, match="not an individual of"):
            archive.record(reader.individuals[0], outcome(1.0))
        for call in (
            lambda: reader.add(offspring(1, 0)),
            lambda: reader.record(reader.individuals[0], outcome(1.0)),
            lambda: reader.set_elite([]),
            lambda: reader.set_champion(reader.individuals[0]),
            lambda: reader.write_state(STATE),
            lambda: reader.maintain(),
        ):
            with pytest.raises(ValueError, match="for reading only"):
                call()
        assert contents(archive) == contents(reader) == before


@pytest.mark.parametrize("script", ["", "a/b.py", "..", ".git", "individual.json", "a\nb"])
def test_a_script_is_a_plain_file_name(tmp_path: Path, script: str) -> None:
    with pytest.raises(ValueError, match="plain file name"):
        Archive.create(tmp_path / "a.git", {"script": script, "direction": "min"})
    assert list(tmp_path.iterdir()) == []


def test_create_does_not_touch_what_exists(archive: Archive) -> None:
    with pytest.raises(UserError, match="exists already"):
        Archive.create(archive.path, STATE)
    assert sorted(p.name for p in archive.path.parent.iterdir()) == ["archive.git"]


def test_no_archive_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no archive at"):
        Archive.open(tmp_path / "nothing")
    git(tmp_path, "init", "--quiet", "--bare", "other.git")
    with pytest.raises(UserError, match=r"no archive of evolve"):
        Archive.open(tmp_path / "other.git")


def test_a_later_format_is_told(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr(state, "FORMAT", 2)
        archive.write_state({**STATE, "births": 1})
    with pytest.raises(UserError, match="format 2; this version of evolve reads up to 1"):
        Archive.open(archive.path)


def test_a_missing_object_is_told(archive: Archive) -> None:
    individuals = grow(archive, 3)
    (pack,) = [pack for pack in checkpoint_packs(archive.path) if individuals[1].commit in object_ids(pack)]
    remove(pack)
    with pytest.raises(UserError, match="is damaged"):
        Archive.open(archive.path)


def test_a_missing_individual_is_told(archive: Archive) -> None:
    grow(archive, 3)
    git(archive.path, "update-ref", "-d", "refs/individuals/1")
    with pytest.raises(UserError, match="refs/individuals/1 is missing"):
        Archive.open(archive.path)


@pytest.mark.parametrize("text", ["[]", "{}", "not json", '{"operator": "a"}'])
def test_a_wrong_individual_is_told(archive: Archive, text: str) -> None:
    grow(archive, 2)
    files = {"train.py": "x = 1\n", "individual.json": text}
    blobs = {
        name: subprocess.run(
            ["git", "-C", str(archive.path), "hash-object", "-w", "--stdin"],
            input=content,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for name, content in files.items()
    }
    lines = "".join(f"100644 blob {blob}\t{name}\n" for name, blob in blobs.items())
    tree = subprocess.run(
        ["git", "-C", str(archive.path), "mktree"], input=lines, capture_output=True, text=True, check=True
    ).stdout.strip()
    user = ("-c", "user.name=a", "-c", "user.email=b")
    commit = git(archive.path, *user, "commit-tree", "-m", "by hand", tree)
    git(archive.path, "update-ref", "refs/individuals/2", commit)
    with pytest.raises(UserError, match="individual 2 is not what an archive holds"):
        Archive.open(archive.path)


# Beside others


def test_a_reader_beside_a_writer_sees_a_consistent_moment(archive: Archive) -> None:
    grow(archive, 2)
    with Archive.open(archive.path) as reader:
        grow(archive, 5)
        archive.maintain(wait=True)  # what the reader has open is moved into a pack
        assert len(reader.individuals) == 2
        assert [i.genome for i in reader.individuals.values()] == [genome(0), genome(1)]
        assert reader.curves(reader.individuals[1]) == [{"n": 1, "curve": [], "tail": ""}]
    with Archive.open(archive.path) as reader:
        assert len(reader.individuals) == 7


def test_a_ctrl_c_at_the_terminal_does_not_reach_git(tmp_path: Path) -> None:
    # A terminal sends the signal to the whole foreground process group, so that is what the script does.
    script = f"""
import os, signal
from pathlib import Path
from evolve.archive import Archive
from tests.archive.filling import STATE, grow
archive = Archive.create(Path({str(tmp_path / "a.git")!r}), STATE)
one, = grow(archive, 1)
one.genome
signal.signal(signal.SIGINT, signal.SIG_IGN)
git = archive._store._git._process
os.killpg(0, signal.SIGINT)
assert len(grow(archive, 2)) == 2 and archive.individuals[2].genome
assert archive._store._git._process is git and git.poll() is None
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        start_new_session=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_dead_cat_file_is_replaced(archive: Archive) -> None:
    grow(archive, 2)
    assert archive.individuals[0].genome == genome(0)
    process = archive._store._git._process
    assert process is not None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert archive.individuals[1].genome == genome(1)


def test_git_settings_of_the_user_do_not_reach_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text("[init]\n\tdefaultBranch = other\n[core]\n\tlogAllRefUpdates = always\n[gc]\n\tauto = 1\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_DEFAULT_HASH", "sha256")
    with Archive.create(tmp_path / "a.git", STATE) as archive:
        grow(archive, 2)
        archive.set_champion(archive.individuals[1])
    monkeypatch.undo()
    assert (tmp_path / "a.git" / "HEAD").read_text() == "ref: refs/heads/champion\n"
    assert not (tmp_path / "a.git" / "logs").exists()
    fsck(tmp_path / "a.git")


def test_references_that_others_made_are_not_looked_at_and_stay(tmp_path: Path) -> None:
    path = tmp_path / "archive.git"
    with Archive.create(path, STATE) as archive:
        grow(archive, 3)
        archive.set_elite([archive.individuals[2], archive.individuals[1]])
    others = ["refs/heads/elite/mine", "refs/heads/elite/007", "refs/individuals/x", "refs/derived/x"]
    for ref in others:
        git(path, "update-ref", ref, "refs/individuals/0")
    with Archive.open(path, write=True) as archive:
        assert [one.id for one in archive.elite()] == [2, 1]
        assert list(archive.individuals) == [0, 1, 2] and not archive.derived
        archive.set_elite([archive.individuals[1]])
        assert archive.resolve("elite/mine").id == 0
    there = git(path, "for-each-ref", "--format=%(refname)").splitlines()
    assert set(others) <= set(there)
    assert "refs/heads/elite/0" in there and "refs/heads/elite/1" not in there
