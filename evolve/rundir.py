"""A run's folder: where its archive, lock and scratch are, and who may write to it."""

from __future__ import annotations

import fcntl
import os
import re
import time
from pathlib import Path
from types import TracebackType
from typing import IO

from evolve.errors import UserError

LOCK = "engine.lock"
LOOK = 0.1  # seconds that an engine waits for somebody who only looks whether there is one
_URL = re.compile(r"^\s*url = (.+)$", re.MULTILINE)
_MIRROR = re.compile(r"^\s*fetch = \+refs/\*:refs/\*$", re.MULTILINE)


class RunDirectory:
    """`DIR/archive.git` is the run; everything else in DIR may be deleted when no engine is running.

    A clone of an archive is a run, too: what else it needs is kept in `evolve` inside the repository's own folder.
    In `inbox` lie offspring from outside that no engine has taken yet, in `tickets` what they answer, in `compiled`
    what the seed genome has compiled, of which every trial gets a copy.
    """

    def __init__(self, path: Path, archive: Path | None = None) -> None:
        self.path = path
        self.archive = archive or path / "archive.git"
        self.trials = path / "trials"
        self.compiled = path / "compiled"
        self.tickets = path / "tickets"
        self.inbox = path / "inbox"

    @classmethod
    def find(cls, run: str) -> RunDirectory:
        """The existing run that a user names: a folder, its archive.git, a clone of that, or a name below runs/.

        Raises UserError, naming the runs that exist.
        """
        if not run:
            raise UserError("RUN is empty: name a run's folder.")
        for candidate in (Path(run), Path("runs") / run):
            if candidate.name == "archive.git" and candidate.is_dir():
                return cls._in(candidate.parent)
            if (candidate / "archive.git").is_dir():
                return cls._in(candidate)
            for repository in (candidate, candidate / ".git"):
                if (repository / "HEAD").is_file() and (repository / "objects").is_dir():
                    return cls(repository / "evolve", repository)
        known = sorted(str(path.parent) for path in Path("runs").glob("*/archive.git"))
        raise UserError(
            f"There is no run at '{run}'. " + (f"Known: {', '.join(known)}." if known else "No run was started here.")
        )

    @classmethod
    def choose(cls, out: str | None, arena: str, fresh: bool) -> RunDirectory:
        """The folder a search uses: `out` or runs/<arena>; with `fresh`, the first free name beside it."""
        first = Path(out) if out else Path("runs") / arena
        path, number = first, 2
        while fresh and path.exists():
            path = first.with_name(f"{first.name}-{number}")
            number += 1
        return cls._in(path)

    @classmethod
    def _in(cls, path: Path) -> RunDirectory:
        """The run of `path/archive.git`. Where that is a mirror clone, the rest of `path` is somebody else's."""
        archive = path / "archive.git"
        return cls(archive / "evolve", archive) if _MIRROR.search(_config(archive)) else cls(path)

    @property
    def name(self) -> str:
        """What the run is called: its folder's name; for a clone its own, or its origin's where that says nothing."""
        archive = self.archive.resolve()
        if self.path.resolve() == archive.parent:
            return archive.parent.name
        own = archive.parent.name if archive.name == ".git" else archive.stem
        if own != "archive":
            return own
        url = _URL.search(_config(archive))
        origin = Path(url[1]) if url else archive
        return origin.parent.name if origin.stem == "archive" else origin.stem


def _config(repository: Path) -> str:
    """The settings of a git repository; empty where there is none."""
    try:
        return (repository / "config").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def engine_on(run: RunDirectory) -> str:
    """The process of the engine that is running on a run; empty where none is."""
    try:
        with (run.path / LOCK).open(encoding="utf-8") as file:
            return "" if _locked(file, fcntl.LOCK_SH) else file.read().strip() or "unknown"
    except OSError:
        return ""


def _locked(file: IO[str], kind: int, wait: float = 0.0) -> bool:
    """Whether a lock was to be had, after `wait` seconds. It is held until the file is closed."""
    time.sleep(wait)
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class EngineLock:
    """Held by the one engine that writes to a run; the kernel lets go of it when the process dies."""

    def __init__(self, run: RunDirectory) -> None:
        self._path = run.path / LOCK

    def __enter__(self) -> EngineLock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a+", encoding="utf-8")
        if not (_locked(self._file, fcntl.LOCK_EX) or _locked(self._file, fcntl.LOCK_EX, wait=LOOK)):
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise UserError(
                f"Another engine (process {holder}) is running on {self._path.parent}. "
                "Wait for it, stop it, or start another run beside it with --fresh."
            )
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
