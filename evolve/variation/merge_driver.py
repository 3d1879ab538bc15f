"""Git's merge driver for genomes: a `git merge` by hand gives the tree that the crossover operator gives."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from evolve.errors import UserError
from evolve.metadata import METADATA_FILE, dump_metadata, merge_metadata
from evolve.variation.merge import merge
from evolve.variation.source import Unparsable

_ATTRIBUTES = ("*.py merge=evolve", f"{METADATA_FILE} merge=evolve")
_MODULE = "evolve.variation.merge_driver"


class CannotMerge(Exception):  # noqa: N818 - an answer of git's, said as such
    """Git left a conflict: a version of a file could not be read, or a file was deleted on one side."""


def main(arguments: list[str] | None = None) -> int:
    """The driver's command line; returns the exit code that git reads: 0 merged, 1 left as a conflict."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {_MODULE}",
        description="Three-way merge of *.py by statement and of individual.json by field, for git. The "
        "result is written to CURRENT. Conflicts take the text of CURRENT and are told on stderr.",
        epilog="To have `git merge` use it in a clone: --install PATH_OF_THE_CLONE, once.",
    )
    parser.add_argument("--install", metavar="PATH", type=Path, help="set the driver up in a repository")
    parser.add_argument("base", nargs="?", type=Path, help="%%O: the common ancestor's version")
    parser.add_argument("current", nargs="?", type=Path, help="%%A: the current version")
    parser.add_argument("other", nargs="?", type=Path, help="%%B: the other branch's version")
    parser.add_argument("path", nargs="?", help="%%P: where the file stands in the tree")
    options = parser.parse_args(arguments)
    if options.install is not None:
        try:
            install(options.install)
        except UserError as error:
            print(error, file=sys.stderr)
            return 2
        return 0
    if options.path is None:
        parser.error("expected %O %A %B %P, or --install PATH")
    return _drive(options.base, options.current, options.other, options.path)


def _drive(base: Path, current: Path, other: Path, path: str) -> int:
    """Merge three files into `current`, which is left alone where that cannot be done."""
    try:
        texts = [file.read_bytes().decode() for file in (base, current, other)]
        if Path(path).name == METADATA_FILE:
            ours, theirs = (_fields(text) for text in texts[1:])
            text = dump_metadata(merge_metadata(ours, theirs))
        else:
            result = merge(texts[0], texts[1], texts[2])
            text = result.text
            for conflict in result.conflicts:
                print(f"{path}: conflict in {conflict.path}, kept ours", file=sys.stderr)
    except (Unparsable, UnicodeDecodeError, json.JSONDecodeError) as error:
        print(f"{path}: not merged: {error}", file=sys.stderr)
        return 1
    current.write_bytes(text.encode())
    return 0


def _fields(text: str) -> dict[str, Any]:
    fields = json.loads(text)
    match fields:
        case {"description": str(), "generation": int()}:
            return dict(fields)
    raise Unparsable("it lacks the description or the generation")


def install(repository: Path, python: str = sys.executable) -> None:
    """Set the driver up in a repository, bare or not. Once or many times; other settings stay.

    Raises UserError where the path is no repository or its configuration cannot be written.
    """
    # The repository need not be where evolve is importable from, and must not be imported from (-P): git
    # starts the driver inside it. No site packages (-S): the driver needs none, and starts faster.
    root = Path(__file__).resolve().parent.parent.parent
    start = f"PYTHONPATH={shlex.quote(str(root))} {shlex.quote(python)} -P -S -m {_MODULE}"
    _git(repository, "config", "merge.evolve.name", "statement-keyed merge of genomes")
    _git(repository, "config", "merge.evolve.driver", f"{start} %O %A %B %P")
    attributes = repository / _git(repository, "rev-parse", "--git-path", "info/attributes").strip()
    try:
        attributes.parent.mkdir(exist_ok=True)
        lines = attributes.read_text().splitlines() if attributes.exists() else []
        missing = [line for line in _ATTRIBUTES if line not in lines]
        if missing:
            attributes.write_text("".join(f"{line}\n" for line in [*lines, *missing]))
    except OSError as error:
        raise UserError(f"Cannot write {attributes}: {error.strerror}.") from error


def git_merge(repository: Path, ours: str, theirs: str) -> dict[str, str]:
    """Merge two commits by git itself, without a work tree: the text of each file of the merged tree.

    For pairs with several best common ancestors, which git merges into a virtual one first. The driver must
    be installed. Raises CannotMerge where git leaves a conflict, UserError where git is older than 2.38 or
    a commit does not exist.
    """
    result = _run(repository, "merge-tree", "--write-tree", "--no-messages", ours, theirs)
    if result.returncode == 1 and result.stdout:
        raise CannotMerge(f"git leaves a conflict between {ours} and {theirs}")
    if result.returncode == 129:  # usage: an older git knows no --write-tree
        version = _run(repository, "version").stdout.strip()
        raise UserError(f"Merging needs git 2.38 or newer, and this is {version}.")
    if result.returncode:
        raise UserError(f"git merge-tree failed in {repository}: {result.stderr.strip()}.")
    tree = result.stdout.split("\n", 1)[0]
    names = _git(repository, "ls-tree", "-r", "-z", "--name-only", tree).split("\0")
    return {name: _git(repository, "cat-file", "blob", f"{tree}:{name}") for name in names if name}


def _git(repository: Path, *arguments: str) -> str:
    result = _run(repository, *arguments)
    if result.returncode:
        raise UserError(f"git {arguments[0]} failed in {repository}: {result.stderr.strip()}.")
    return result.stdout


def _run(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # A caller that git itself started, such as a hook, inherits variables that point to its own repository.
    environment = {name: value for name, value in os.environ.items() if name not in _LOCATION}
    command = ["git", "-C", str(repository), *arguments]
    try:
        result = subprocess.run(command, env=environment, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise UserError("git is not installed, or not on the PATH.") from error
    # Decoded here: text mode would change line ends.
    return subprocess.CompletedProcess(
        command,
        result.returncode,
        result.stdout.decode(errors="replace"),
        result.stderr.decode(errors="replace"),
    )


_LOCATION = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")


if __name__ == "__main__":
    sys.exit(main())
