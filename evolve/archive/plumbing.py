"""Running git: one-shot commands, many objects at once, and one long-lived process for single reads."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from evolve.errors import UserError


class GitError(UserError):
    """A git command failed; the message says which and what git printed."""


def environment() -> dict[str, str]:
    """The environment git runs in: what the user set for other repositories must not reach the archive."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return kept | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_DEFAULT_REF_FORMAT": "files",
        "LC_ALL": "C",
    }


def start(
    command: Sequence[str], *, stdin: int, stdout: int, stderr: int, pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a git process in a session of its own, so that a Ctrl-C at the terminal ends the search, not git.

    Raises UserError where git is not installed.
    """
    try:
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=environment(),
            start_new_session=True,
            pass_fds=pass_fds,
        )
    except FileNotFoundError as error:
        raise UserError(
            f"The program '{command[0]}' was not found: install git 2.38 or later, or mend PATH."
        ) from error


def run(git_dir: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run one git command in the repository and return what it printed.

    Raises GitError where it fails, and UserError where git is not installed.
    """
    command = ["git", f"--git-dir={git_dir}", *arguments]
    process = start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = process.communicate(stdin)
    if process.returncode != 0:
        said = errors.decode(errors="replace").strip() or f"exit code {process.returncode}"
        raise GitError(f"git {arguments[0]} failed in {git_dir}: {said}")
    return output


def list_refs(git_dir: Path) -> dict[str, str]:
    """Every reference of the repository with the object it names."""
    listing = run(git_dir, "for-each-ref", "--format=%(refname) %(objectname)").decode()
    return dict(line.split(" ") for line in listing.splitlines())


def read_many(git_dir: Path, names: Sequence[str]) -> list[bytes]:
    """The contents of many objects, in the order of their names.

    Raises UserError where one of them is not there.
    """
    output = run(git_dir, "cat-file", "--batch", "--buffer", stdin="".join(f"{n}\n" for n in names).encode())
    contents, position = [], 0
    for name in names:
        end = output.index(b"\n", position)
        size = _size(git_dir, name, output[position:end])
        contents.append(output[end + 1 : end + 1 + size])
        position = end + 1 + size + 1
    return contents


def missing(git_dir: Path, names: Sequence[str]) -> list[str]:
    """Those of the objects that git does not have."""
    output = run(git_dir, "cat-file", "--batch-check", "--buffer", stdin="".join(f"{n}\n" for n in names).encode())
    said = output.decode().splitlines()
    return [name for name, line in zip(names, said, strict=True) if not line.rpartition(" ")[2].isdigit()]


def _size(git_dir: Path, name: str, header: bytes) -> int:
    """Read `<id> <type> <size>`, the line that cat-file prints before an object."""
    last = header.rpartition(b" ")[2]
    if not last.isdigit():
        raise UserError(
            f"The archive {git_dir} is damaged: git cannot read {name}. "
            f"`git --git-dir={git_dir} fsck` says what else is missing; restore the archive from a copy."
        )
    return int(last)


class CatFile:
    """One `git cat-file --batch`, started at the first read: a read costs a fraction of starting git.

    Safe to use from several threads.
    """

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def read(self, name: str) -> bytes:
        """The content of the object that `name` means to git (an id, `commit:path`, ...).

        Raises UserError where there is none.
        """
        with self._lock:
            process = self._running()
            assert process.stdin is not None and process.stdout is not None  # both are pipes
            process.stdin.write(f"{name}\n".encode())
            process.stdin.flush()
            size = _size(self._git_dir, name, process.stdout.readline().rstrip(b"\n"))
            content = process.stdout.read(size + 1)
            if len(content) != size + 1:
                raise GitError(f"git cat-file ended while it read {name} in {self._git_dir}.")
            return content[:-1]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._stop()
            self._process = start(
                ["git", f"--git-dir={self._git_dir}", "cat-file", "--batch"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process

    def _stop(self) -> None:
        if self._process is not None:
            # Leaving the context closes the pipes, at which cat-file ends, and reaps it.
            with self._process:
                pass
            self._process = None

    def close(self) -> None:
        with self._lock:
            self._stop()

    def __enter__(self) -> CatFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
