"""Importing a keep-or-discard history: a real repository, a log shaped like those that such searches write."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.archive import Archive
from evolve.arena import of_run
from evolve.errors import UserError
from evolve.individual import Status
from evolve.inspect import show, status
from evolve.lineages.adopt import adopt
from evolve.lineages.paired import Verdict
from evolve.lineages.replay import replay
from evolve.lineages.results_log import parse_log
from evolve.llm.briefing import brief
from tests.lineages.synthetic import evaluator, seed_genome, switched, workplace


class History:
    """A search as a person with a coding agent leaves it: kept commits on a branch, discarded ones reset away."""

    def __init__(self, path: Path, script: str = "train.py") -> None:
        self.path = path
        self.script = script
        self.rows: list[str] = []
        path.mkdir()
        self.git("init", "-q", "-b", "main")
        (path / "README.md").write_text("A search.\n")
        self.commit("Start")

    def git(self, *arguments: str) -> str:
        settings = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "gc.auto=0"]
        done = subprocess.run(
            ["git", "-C", str(self.path), *settings, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, message: str, text: str | None = None) -> str:
        if text is not None:
            (self.path / self.script).parent.mkdir(exist_ok=True)
            (self.path / self.script).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def log(self, commit: str, score: str, state: str, description: str, memory: str = "44.0") -> None:
        self.rows.append("\t".join([commit, score, memory, state, description]))

    def write_log(self) -> None:
        header = "commit\tval_bpb\tmemory_gb\tstatus\tdescription"
        (self.path / "results.tsv").write_text("\n".join([header, *self.rows]) + "\n")


BASE = seed_genome(6)


@pytest.fixture
def history(tmp_path: Path) -> History:
    made = History(tmp_path / "project")
    made.commit("The script", BASE)
    made.git("checkout", "-q", "-b", "search/mar8")
    made.log("baseline", "0.997900", "keep", "baseline")
    first = made.commit("exp: turn on S0", switched(BASE, S0=1))
    made.log(first[:7], "0.986041", "keep", "turn on S0 (more steps)")
    thrown = made.commit("exp: S1", switched(BASE, S0=1, S1=1))
    made.log(thrown[:7], "0.991000", "discard", "turn on S1")
    made.git("reset", "-q", "--hard", first)
    made.log("4e6697f", "0.990001", "discard", "warmup of 5 %")  # its commit was pruned long ago
    made.log("e05a87d", "0.000000", "crash", "batch 131K (assert fail)", memory="0.0")
    second = made.commit("exp: turn on S2", switched(BASE, S0=1, S2=1))
    made.log(second[:7], "0.981773", "keep", "turn on S2")
    wrong = made.commit("exp: S3", switched(BASE, S0=1, S2=1, S3=1))
    made.log(wrong[:7], "0.000000", "crash", "turn on S3", memory="0.0")
    back = made.commit('Revert "exp: S3"', switched(BASE, S0=1, S2=1))
    third = made.commit("exp: turn on S4", switched(BASE, S0=1, S2=1, S4=1))
    made.log(third[:7], "0.975524", "keep", "turn on S4")
    made.log(third[:7], "0.975800", "keep", "the same again")
    made.log("bea0001", "0.970000", "keep", "kept, but rewritten since")
    assert back != second
    made.write_log()
    return made


def imported(history: History, out: Path, **options: object) -> str:
    return adopt(str(history.path), out=str(out), **options)  # type: ignore[arg-type]


def test_a_history_becomes_an_archive(history: History, tmp_path: Path) -> None:
    told = imported(history, tmp_path / "run")
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        everyone = {one.idea: one for one in archive.individuals.values()}
        assert list(everyone) == [
            "The script",
            "turn on S0 (more steps)",
            "turn on S1",
            "turn on S2",
            "turn on S3",
            "turn on S4",
        ]
        names = {one.id: idea for idea, one in everyone.items()}
        parents = {idea: [names[id] for id in one.parents] for idea, one in everyone.items()}
        assert parents["turn on S1"] == parents["turn on S2"] == ["turn on S0 (more steps)"]
        assert parents["turn on S3"] == parents["turn on S4"] == ["turn on S2"]
        assert [one.score for one in archive.individuals[0].outcomes] == [0.9979]
        assert everyone["turn on S4"].scores == [0.975524, 0.9758]
        assert everyone["turn on S4"].genome == switched(BASE, S0=1, S2=1, S4=1)
        (crash,) = everyone["turn on S3"].outcomes
        assert (crash.status, crash.score, crash.trusted) == (Status.CRASHED, None, False)
        memory = everyone["turn on S0 (more steps)"].outcomes[0].peak_memory_mb
        assert memory == pytest.approx(44 * 1024**3 / 1e6, abs=0.1)
        assert archive.resolve("champion") is everyone["turn on S4"]
        assert archive.elite()[0] is everyone["turn on S4"]
        ideas = {one.idea: [idea["idea"] for idea in archive.ideas(one)] for one in archive.individuals.values()}
        assert ideas["turn on S0 (more steps)"] == ["warmup of 5 %", "batch 131K (assert fail)"]
        assert ideas["turn on S4"] == ["kept, but rewritten since"]
        context = brief(archive, archive.elite(), everyone["turn on S4"], "tune", of_run(archive.read_state()), "")
        tried = {step.idea: step for step in context.tried}
        assert tried["warmup of 5 %"].gain == pytest.approx(0.986041 - 0.990001)
        assert tried["batch 131K (assert fail)"].verdict == "crash"
    assert "6 individuals from search/mar8" in told
    assert "Rows that name no commit that exists: 3, kept" in told and "logged as kept: bea0001" in told
    text = status(str(tmp_path / "run"))
    assert "ideas tried before, without a genome: 3" in text and "turn on S4" in text
    assert "tried on it before: warmup of 5 % (discard 0.990001)" in show(str(tmp_path / "run"), "1")


def test_an_imported_lineage_can_be_replayed(history: History, tmp_path: Path) -> None:
    imported(history, tmp_path / "run", time_box=0.05)
    with workplace(tmp_path / "run", evaluator({"S0": 0.1, "S4": -0.1}), create=False) as place:
        result = replay(place, "champion", 4)
    verdicts = [step.gain.verdict for step in result.steps if step.gain is not None]
    assert verdicts == [Verdict.REAL, Verdict.NOISE, Verdict.HARMFUL]
    assert [step.claimed for step in result.steps][:2] == [0.9979, 0.986041]


def test_nothing_of_the_repository_is_run_or_written(history: History, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    program = tmp_path / "program.sh"
    program.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    program.chmod(0o755)
    history.commit("attributes", switched(BASE, S0=1, S2=1, S4=1))
    (history.path / ".gitattributes").write_text("*.py filter=evil diff=evil merge=evil\n")
    git_dir = history.path / ".git"
    with (git_dir / "config").open("a") as config:
        for section, keys in {
            'filter "evil"': ("clean", "smudge", "process"),
            'diff "evil"': ("textconv", "command"),
            "core": ("fsmonitor", "sshCommand", "pager", "editor", "alternateRefsCommand"),
            "gpg": ("program",),
            "uploadpack": ("packObjectsHook",),
        }.items():
            config.write(f"[{section}]\n" + "".join(f"\t{key} = {program}\n" for key in keys))
        config.write("[log]\n\tshowSignature = true\n")
        config.write(f'[remote "origin"]\n\turl = ext::{program}\n\tpromisor = true\n\tuploadpack = {program}\n')
        config.write('[extensions]\n\tpartialClone = origin\n[protocol "ext"]\n\tallow = always\n')
    for hook in ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc"):
        (git_dir / "hooks").mkdir(exist_ok=True)
        (git_dir / "hooks" / hook).write_text(program.read_text())
        (git_dir / "hooks" / hook).chmod(0o755)
    before = snapshot(history.path)
    imported(history, tmp_path / "run")
    assert not mark.exists()
    assert snapshot(history.path) == before


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in folder.rglob("*")
        if stat.S_ISREG(path.lstat().st_mode)
    }


def test_a_bare_or_shallow_clone_and_a_linked_work_tree_are_read_as_well(history: History, tmp_path: Path) -> None:
    clones = {
        "bare": ["clone", "-q", "--bare", f"file://{history.path}", str(tmp_path / "bare")],
        "shallow": ["clone", "-q", "--depth", "3", f"file://{history.path}", str(tmp_path / "shallow")],
        "linked": ["worktree", "add", "-q", "--detach", str(tmp_path / "linked"), "search/mar8"],
    }
    log = str(history.path / "results.tsv")
    found = {}
    for name, command in clones.items():
        history.git(*command)
        adopt(str(tmp_path / name), results=log, out=str(tmp_path / f"run-{name}"))
        with Archive.open(tmp_path / f"run-{name}" / "archive.git") as archive:
            found[name] = len(archive.individuals)
            assert archive.resolve("champion").scores == [0.975524, 0.9758]
    assert found == {"bare": 5, "shallow": 3, "linked": 6}  # a clone does not have what was reset away


def test_a_branch_a_script_in_a_folder_and_no_log(tmp_path: Path) -> None:
    history = History(tmp_path / "project", script="src/gpt.py")
    first = history.commit("The script", BASE)
    history.commit("Turn on S0", switched(BASE, S0=1))
    history.git("tag", "v1")
    history.commit("Turn on S1", switched(BASE, S0=1, S1=1))
    history.git("pack-refs", "--all")
    for name, branch, count in (("a", "v1", 2), ("b", "main", 3), ("c", first[:8], 1), ("d", None, 3)):
        told = imported(history, tmp_path / name, branch=branch, script="src/gpt.py")
        assert "No log was read" in told
        with Archive.open(tmp_path / name / "archive.git") as archive:
            assert len(archive.individuals) == count
            assert archive.read_state()["script"] == "gpt.py"
            assert not archive.in_order()


def test_a_log_that_begins_with_its_baselines_commit_begins_there(tmp_path: Path) -> None:
    history = History(tmp_path / "project")
    history.commit("An older script", switched(BASE, S5=1))
    base = history.commit("The script", BASE)
    history.log(base[:7], "1.5", "keep", "baseline")
    step = history.commit("S0", switched(BASE, S0=1))
    history.log(step[:9], "1.4", "keep", "S0")
    history.write_log()
    imported(history, tmp_path / "run")
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        assert [one.scores for one in archive.individuals.values()] == [[1.5], [1.4]]


def test_what_cannot_be_imported_is_said(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.tsv").write_text("just some words\n")
    for options, message in [
        ({"branch": "nowhere"}, "no branch or commit 'nowhere'. Branches: main, search/mar8"),
        ({"script": "other.py"}, "No commit of that branch has a file 'other.py'"),
        ({"script": "../x.py"}, "must be a path inside"),
        ({"results": "nowhere.tsv"}, "cannot be read"),
        ({"results": str(tmp_path / "words.tsv")}, "no row that can be read"),
        ({"time_box": 0.0}, "above zero"),
        ({"arena": "gpt_cpo"}, "no arena 'gpt_cpo'"),
    ]:
        with pytest.raises(UserError, match=message):
            adopt(str(history.path), out="run", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "run" / "archive.git").exists()
    with pytest.raises(UserError, match="no git repository"):
        adopt("empty")
    adopt(str(history.path))
    assert (tmp_path / "runs" / "project" / "archive.git").is_dir()
    with pytest.raises(UserError, match="exists already"):
        adopt(str(history.path))


def test_odd_rows_of_a_log() -> None:
    text = (
        "\ufeffcommit\tval_bpb\tmemory_gb\tstatus\tdescription\r\n"
        "abc1234\t0.97\t44.0\tkeep\ta\tb\r\n"
        "\r\n"
        "abc1235\toops\t44.0\tkeep\tnot a number\r\n"
        "abc1236\tnan\t44.0\tkeep\tnot finite\r\n"
        "abc1237\r\n"
        "ABC1238\t0.000000\t\tCRASH\t\r\n"
    )
    log = parse_log(text, "log")
    assert [(row.commit, row.score, row.status, row.description) for row in log.rows] == [
        ("abc1234", 0.97, "keep", "a b"),
        ("abc1238", None, "crash", ""),
    ]
    assert [why.split(":")[0] for why in log.unreadable] == ["line 4", "line 5", "line 6"]
    other = parse_log("commit\taccuracy\tstatus\nabc1234\t0.5\tkeep\n", "log")
    assert (other.metric, other.rows[0].score, other.rows[0].memory_mb) == ("accuracy", 0.5, None)
    assert parse_log("abc1234\t0.5\t1\tkeep\td\n", "log").rows[0].line == 1


@settings(max_examples=60, deadline=None)
@given(st.text("\t\n\r\x85 0.9nafeck-", max_size=60))
def test_any_text_is_a_log_or_refused_in_a_sentence(text: str) -> None:
    try:
        log = parse_log("commit\tval_bpb\tmemory_gb\tstatus\tdescription\n" + text, "log")
    except UserError:
        return
    assert log.rows


def test_the_environment_of_git_is_not_that_of_the_user(history: History, tmp_path: Path) -> None:
    os.environ["GIT_DIR"] = "/nowhere"
    try:
        imported(history, tmp_path / "run")
    finally:
        del os.environ["GIT_DIR"]
    assert (tmp_path / "run" / "archive.git").is_dir()


def test_what_is_no_script_is_refused(tmp_path: Path) -> None:
    history = History(tmp_path / "other")
    history.commit("Say more", "x = 1\n")
    with pytest.raises(UserError, match=r"'README\.md' at the end of main is not Python that compiles"):
        adopt(str(history.path), script="README.md", out=str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
