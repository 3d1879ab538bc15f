"""Finding a run's folder, and its lock."""

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from evolve.errors import UserError
from evolve.rundir import EngineLock, RunDirectory, engine_on


def test_a_run_is_found_by_folder_archive_or_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "one" / "archive.git").mkdir(parents=True)
    for name in ("one", "runs/one", "runs/one/archive.git"):
        assert RunDirectory.find(name).archive.resolve() == tmp_path / "runs" / "one" / "archive.git"
    with pytest.raises(UserError, match="no run at 'two'. Known: runs/one"):
        RunDirectory.find("two")


def test_fresh_takes_the_next_free_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert RunDirectory.choose(None, "a", fresh=True).path == Path("runs/a")
    Path("runs/a").mkdir(parents=True)
    assert RunDirectory.choose(None, "a", fresh=False).path == Path("runs/a")
    assert RunDirectory.choose(None, "a", fresh=True).path == Path("runs/a-2")
    Path("runs/a-2").mkdir()
    assert RunDirectory.choose(None, "a", fresh=True).path == Path("runs/a-3")
    assert RunDirectory.choose("here", "a", fresh=True).path == Path("here")


def test_the_second_engine_is_refused_and_told_who_holds_the_run(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with EngineLock(run), pytest.raises(UserError, match=f"process {os.getpid()}"), EngineLock(run):
        pass
    with EngineLock(run):
        pass


def test_whoever_looks_for_an_engine_finds_it_and_keeps_none_away(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    assert engine_on(run) == "" and not run.path.exists()
    with EngineLock(run):
        assert engine_on(run) == str(os.getpid())
    assert engine_on(run) == ""
    with run.path.joinpath("engine.lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.03, fcntl.flock, (looking, fcntl.LOCK_UN)).start()
        with EngineLock(run):
            pass


def test_an_empty_name_is_no_run() -> None:
    with pytest.raises(UserError, match="RUN is empty"):
        RunDirectory.find("")


def test_the_lock_of_a_killed_engine_is_free(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from evolve.rundir import *\n"
        f"lock = EngineLock(RunDirectory(Path({str(tmp_path)!r}))); lock.__enter__()\n"
        "print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    with pytest.raises(UserError, match=f"process {holder.pid}"), EngineLock(RunDirectory(tmp_path)):
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with EngineLock(RunDirectory(tmp_path)):
        pass
