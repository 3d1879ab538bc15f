"""The sandbox as a user meets it: chosen by a flag or a variable, told in the first lines, used for every trial."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolve import arena as arenas
from evolve.errors import UserError
from evolve.evaluation.trial import Trial
from evolve.rundir import RunDirectory
from evolve.sandbox.confinement import Mode
from evolve.sandbox.probe import WARNING, describe, probe
from evolve.trials import Data, TrialMaker

from .. import command

LOOK = """
import os
print("sees", os.path.exists({given!r}), os.path.exists({archive!r}))
raise SystemExit(1)
"""
SHORT = ("--max-evals", 1, "--workers", 1)


def said(tmp_path: Path, *flags: object, **variables: str) -> str:
    """What a search prints whose one genome tells what it sees, and fails."""
    given, archive = str(tmp_path / "given"), str(tmp_path / "runs" / "look" / "archive.git")
    Path(given).mkdir()
    script = LOOK.format(given=given, archive=archive)
    place = command.arena(tmp_path / "look", script, score="printed", readable=[given, str(tmp_path)])
    done = command.evolve("--arena", place, *SHORT, *flags, cwd=tmp_path, **variables)
    assert done.returncode == 2, done.stderr
    return done.stdout + done.stderr


def test_the_best_that_works_is_used_unasked(tmp_path: Path) -> None:
    text = said(tmp_path)
    assert f"sandbox    {describe(probe().best)}\n" in text
    assert ("sees True False" in text) == (probe().best is not Mode.NONE)


def test_none_is_warned_of(tmp_path: Path) -> None:
    text = said(tmp_path, EVOLVE_SANDBOX="none")
    assert "sandbox    none\n" in text and f"warning    {WARNING}\n" in text
    assert "sees True True" in text


def test_a_word_that_is_no_sandbox_is_refused(tmp_path: Path) -> None:
    done = command.evolve("--arena", command.TOY, "--sandbox", "docker", cwd=tmp_path)
    assert done.returncode == 2
    assert "--sandbox = 'docker' in the command line: must be one of auto, bwrap, landlock, none" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_trial_sees_the_data_and_what_the_arena_names_but_not_the_run(tmp_path: Path) -> None:
    place = command.arena(tmp_path / "named", "", readable=["beside", "/absolute"], scratch_mb=7)
    data = Data(
        "corpus", "c0ffee", "/data", parts={"train": "/data/train.bin", "search": "/data/validation/search.bin"}
    )
    make_trial = TrialMaker(arenas.load(str(place)), data, RunDirectory(tmp_path / "run"), Mode.LANDLOCK)
    trial = make_trial.dry("x = 1\n", 0)
    assert isinstance(trial, Trial)
    assert (trial.sandbox, trial.scratch_mb) == ("landlock", 7)
    assert trial.readable == (str(place / "beside"), "/absolute", "/data")
    assert trial.hidden == (str(tmp_path / "run"), "/data/train.bin", "/data/validation/search.bin")


def test_readable_must_be_paths(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="readable must be a list of paths"):
        arenas.load(str(command.arena(tmp_path / "wrong", "", readable=[7])))
