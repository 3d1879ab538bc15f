"""The merge driver under real git: what it writes, what it refuses, how it is installed, how it starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from evolve.errors import UserError
from evolve.metadata import DESCRIPTION_LIMIT, METADATA_FILE, dump_metadata, merge_metadata
from evolve.variation.merge import merge
from evolve.variation.merge_driver import CannotMerge, git_merge, install, main
from tests.variation.archives import SCRIPT, Archive, git

SEED = "LR = 0.02\nDEPTH = 4\nWIDTH = 64\n\n\ndef main():\n    train(LR)\n    score()\n"


@pytest.fixture
def archive(tmp_path) -> Archive:
    archive = Archive(tmp_path / "archive")
    archive.add(SEED, operator="seed")
    return archive


def test_a_merge_by_hand_takes_both_edits_of_neighbouring_lines(archive) -> None:
    ours = archive.add(SEED.replace("0.02", "0.03"), 0)
    theirs = archive.add(SEED.replace("DEPTH = 4", "DEPTH = 6"), 0)
    archive.merge_by_hand(1, 2)
    assert archive.read("HEAD") == SEED.replace("0.02", "0.03").replace("DEPTH = 4", "DEPTH = 6")
    written = git(archive.path, "show", f"HEAD:{METADATA_FILE}").stdout
    fields = json.loads(written)
    assert written == dump_metadata(fields)
    assert fields["operator"] == "crossover"
    assert fields["generation"] == 2
    assert ours.idea in fields["description"]
    assert theirs.idea in fields["description"]


def test_a_conflict_takes_ours_and_is_told(archive) -> None:
    archive.add(SEED.replace("0.02", "0.03"), 0)
    archive.add(SEED.replace("0.02", "0.04").replace("64", "96"), 0)
    git(archive.path, "checkout", "-q", "-f", "--detach", "1")
    merged = git(archive.path, "merge", "--no-edit", "2")
    assert f"{SCRIPT}: conflict in LR, kept ours" in merged.stderr
    assert archive.read("HEAD") == SEED.replace("0.02", "0.03").replace("64", "96")


def test_a_genome_that_is_not_python_is_left_to_the_user(archive) -> None:
    broken = SEED.replace("0.02", "(")
    archive.add(broken, 0)
    archive.add(SEED.replace("64", "96"), 0)
    git(archive.path, "checkout", "-q", "-f", "--detach", "1")
    merged = git(archive.path, "merge", "--no-edit", "2", check=False)
    assert merged.returncode == 1
    assert f"CONFLICT (content): Merge conflict in {SCRIPT}" in merged.stdout
    assert (archive.path / SCRIPT).read_text() == broken
    with pytest.raises(CannotMerge):
        git_merge(archive.path, "1", "2")


def criss_cross(archive: Archive) -> None:
    """Individuals 3 and 4 have two best common ancestors, 1 and 2, which conflict in LR."""
    a = SEED.replace("0.02", "0.03")
    b = SEED.replace("0.02", "0.04").replace("DEPTH = 4", "DEPTH = 6")
    archive.add(a, 0)
    archive.add(b, 0)
    archive.add(merge(SEED, a, b).text, 1, 2, operator="crossover")
    archive.add(merge(SEED, b, a).text.replace("64", "96"), 2, 1, operator="crossover")


def test_a_criss_cross_history_merges_without_conflict(archive) -> None:
    criss_cross(archive)
    by_hand = archive.merge_by_hand(3, 4)
    files = git_merge(archive.path, "3", "4")
    assert files[SCRIPT] == archive.read(by_hand)
    assert files[METADATA_FILE] == git(archive.path, "show", f"{by_hand}:{METADATA_FILE}").stdout
    assert "WIDTH = 96" in files[SCRIPT]
    assert "DEPTH = 6" in files[SCRIPT]


def test_git_merge_reads_a_bare_repository(archive, tmp_path) -> None:
    archive.add(SEED.replace("0.02", "0.03"), 0)
    archive.add(SEED.replace("DEPTH = 4", "DEPTH = 6"), 0)
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--bare", str(archive.path), str(bare))
    with pytest.raises(CannotMerge):
        git_merge(bare, "1", "2")
    install(bare)
    assert git_merge(bare, "1", "2")[SCRIPT] == merge(SEED, *(archive.genome_of(id) for id in (1, 2))).text


def test_git_merge_tells_of_a_commit_that_is_not_there(archive) -> None:
    with pytest.raises(UserError, match=r"git merge-tree failed.*nonsense"):
        git_merge(archive.path, "0", "nonsense")


def test_install_keeps_what_is_there_and_is_idempotent(tmp_path) -> None:
    git(tmp_path, "init", "-q")
    attributes = tmp_path / ".git" / "info" / "attributes"
    attributes.write_text("*.bin binary")
    for _ in range(2):
        install(tmp_path, python="/opt/a python")
    assert attributes.read_text() == f"*.bin binary\n*.py merge=evolve\n{METADATA_FILE} merge=evolve\n"
    driver = git(tmp_path, "config", "--get-all", "merge.evolve.driver").stdout.splitlines()
    assert len(driver) == 1
    assert "'/opt/a python'" in driver[0]
    with pytest.raises(UserError, match="git config failed"):
        install(tmp_path / "nowhere")


def test_install_from_the_command_line(tmp_path, capsys) -> None:
    git(tmp_path, "init", "-q")
    assert main(["--install", str(tmp_path)]) == 0
    assert "merge=evolve" in (tmp_path / ".git" / "info" / "attributes").read_text()
    assert main(["--install", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "ours", "theirs"),
    [
        (SCRIPT, b"x = (\n", b"x = 2\n"),
        (SCRIPT, b"x = 1\n", b"\xff\n"),
        (METADATA_FILE, b"{}", b"{}"),
        (METADATA_FILE, b"[1]", b'{"description": "a", "generation": 1}'),
        (METADATA_FILE, b"{", b"{}"),
    ],
)
def test_what_cannot_be_read_is_refused_and_left_alone(tmp_path, capsys, name, ours, theirs) -> None:
    files = [tmp_path / part for part in ("base", "ours", "theirs")]
    for file, content in zip(files, (b"x = 0\n", ours, theirs), strict=True):
        file.write_bytes(content)
    assert main([*map(str, files), name]) == 1
    assert files[1].read_bytes() == ours
    assert capsys.readouterr().err.startswith(f"{name}: not merged: ")


def test_the_process_starts_without_heavy_imports_and_from_any_folder(tmp_path) -> None:
    (tmp_path / "ast.py").write_text("raise SystemExit('a file of the repository was imported')")
    files = [tmp_path / part for part in ("base", "ours", "theirs")]
    for file, text in zip(files, ("A = 1\nB = 2\n", "A = 3\nB = 2\n", "A = 1\nB = 4\n"), strict=True):
        file.write_text(text)
    git(tmp_path, "init", "-q")
    install(tmp_path)
    driver = git(tmp_path, "config", "merge.evolve.driver").stdout.strip()
    words = {"%O": "base", "%A": "ours", "%B": "theirs", "%P": SCRIPT}
    for placeholder, word in words.items():
        driver = driver.replace(placeholder, word)
    environment = {"PATH": os.environ["PATH"], "PYTHONPROFILEIMPORTTIME": "1"}
    ran = subprocess.run(driver, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert files[1].read_text() == "A = 3\nB = 4\n"
    imported = {line.rsplit("|", 1)[1].strip() for line in ran.stderr.splitlines() if "|" in line}
    assert "evolve.variation.merge" in imported
    assert not imported & {"torch", "numpy", "deap", "dataclasses", "site"}
    assert sys.executable in driver


def test_merged_metadata_stays_short_and_on_one_line() -> None:
    ours = {
        "description": "a" * 500,
        "generation": 3,
        "cost": {"tokens": 5.0},
        "model": "m",
        "operator": "llm",
    }
    theirs = {"description": "two\nlines.", "generation": 7}
    merged = merge_metadata(ours, theirs)
    assert merged == {
        "operator": "crossover",
        "model": None,
        "description": f"Cross ({'a' * (DESCRIPTION_LIMIT - 1)}…) with (two lines)",
        "generation": 8,
        "cost": {},
    }
    assert dump_metadata(merged) == dump_metadata(dict(reversed(merged.items())))
