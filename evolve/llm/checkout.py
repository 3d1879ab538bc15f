"""A scratch git checkout of one individual for a coding agent, and what the agent left in it."""

from __future__ import annotations

import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from evolve.archive.plumbing import GitError, environment
from evolve.individual import Individual
from evolve.llm.rejection import Kind, ReplyRejected
from evolve.metadata import METADATA_FILE
from evolve.variation.source import Unparsable, compiles, normalise, same_program

LARGEST_GENOME = 2_000_000  # bytes
GIT_SECONDS = 120.0
NAMES_TOLD = 20


@dataclass(frozen=True)
class Change:
    """The genome that an agent left, and the other names that it touched in the checkout's top folder."""

    genome: str
    discarded: tuple[str, ...]


def check_out(archive: Path, individual: Individual, folder: Path) -> bytes:
    """Make `folder` a repository of its own, with the individual and its ancestors on the branch `work`.

    It has no remote: nothing that is done in it reaches the archive. Gives individual.json as it is there, to be told
    from what the agent makes of it. Raises UserError where git fails.
    """
    folder.mkdir()
    _git(folder, "init", "--quiet", "--template=", "--initial-branch=work")
    for key, value in (("user.name", "agent"), ("user.email", "agent@localhost"), ("gc.auto", "0")):
        _git(folder, "config", key, value)
    _git(folder, "fetch", "--quiet", "--no-tags", str(archive.resolve()), f"refs/individuals/{individual.id}")
    _git(folder, "reset", "--quiet", "--hard", individual.commit)
    return (folder / METADATA_FILE).read_bytes()


def read_change(folder: Path, script: str, parent: str, metadata: bytes) -> Change:
    """What stands in the genome's file now, committed or not; `metadata` is what `check_out` gave.

    Raises ReplyRejected: no edit (the file is gone, or no ordinary one), no-op, unparsable.
    """
    genome = _read(folder / script)
    if genome == normalise(parent):
        raise ReplyRejected(Kind.NO_OP, f"{script} is as it was.")
    try:
        same = same_program(genome, normalise(parent))
    except Unparsable as error:
        raise ReplyRejected(Kind.UNPARSABLE, f"{script} is not Python any more: {error}.") from error
    if not compiles(genome):
        raise ReplyRejected(Kind.UNPARSABLE, f"{script} does not compile any more.")
    if same:
        raise ReplyRejected(Kind.NO_OP, f"{script} differs in comments and blanks only.")
    return Change(genome, _others(folder, script, metadata))


def _read(path: Path) -> str:
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_GENOME:
            raise ReplyRejected(
                Kind.NO_EDIT, f"{path.name} is no ordinary file of at most {LARGEST_GENOME} bytes any more."
            )
        return normalise(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise ReplyRejected(Kind.NO_EDIT, f"{path.name} cannot be read any more: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ReplyRejected(Kind.UNPARSABLE, f"{path.name} is not UTF-8 text any more.") from error


def _others(folder: Path, script: str, metadata: bytes) -> tuple[str, ...]:
    names = [path.name + "/" * path.is_dir() for path in folder.iterdir() if path.name not in (".git", script)]
    described = folder / METADATA_FILE
    if not described.is_file() or described.is_symlink():
        names.append(METADATA_FILE)
    elif described.read_bytes() == metadata:
        names.remove(METADATA_FILE)
    names = sorted({ascii(name)[1:-1] for name in names})
    more = len(names) - NAMES_TOLD
    return (*names[:NAMES_TOLD], f"{more} more") if more > 0 else tuple(names)


def _git(folder: Path, *arguments: str) -> None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise GitError(f"git {arguments[0]} did not end within {GIT_SECONDS:g} s in {folder}.") from error
    if done.returncode != 0:
        raise GitError(f"git {arguments[0]} failed in {folder}: {done.stderr.decode(errors='replace').strip()}")
