"""Reads a repository that is not ours: objects and references alone, nothing of it is run, nothing written to it.

Git runs in an empty repository of our own that borrows the other one's objects: neither its configuration nor its
hooks, filters, attributes or promised remotes are looked at.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evolve.archive import plumbing
from evolve.errors import UserError

_HASH = re.compile(r"[0-9a-f]{40}")
_LINKS = 5  # symbolic references followed


@dataclass(frozen=True)
class Commit:
    """A commit: its hash, its parents, the first line of its message, and when it was made (Unix time)."""

    id: str
    parents: tuple[str, ...]
    subject: str
    time: float


class Foreign:
    """Another repository, read only. Use `open_foreign`."""

    def __init__(self, path: Path, place: Path, ours: Path) -> None:
        self.path = path
        self._place = place  # its own folder: HEAD, refs, packed-refs
        self._ours = ours
        self._refs = _references(place)

    def branches(self) -> list[str]:
        return sorted(name.removeprefix("refs/heads/") for name in self._refs if name.startswith("refs/heads/"))

    def head(self) -> str:
        """The branch, or the commit, that is checked out. Raises UserError where that cannot be read."""
        try:
            text = (self._place / "HEAD").read_text(encoding="utf-8", errors="replace").strip()
        except OSError as error:
            raise UserError(
                f"{self.path}: HEAD cannot be read ({error.strerror}). Name a branch with --branch."
            ) from error
        return text.removeprefix("ref: refs/heads/")

    def resolve(self, name: str) -> str:
        """The commit that a branch, a tag or the beginning of a hash names. Raises UserError."""
        for prefix in ("refs/heads/", "refs/remotes/", "refs/tags/", ""):
            if prefix + name in self._refs:
                name = self._refs[prefix + name]
                break
        commit = self.find([name])[0] if re.fullmatch(r"[0-9a-f]{4,40}", name) else None
        if commit is None:
            known = ", ".join(self.branches()) or "none"
            raise UserError(f"{self.path} has no branch or commit '{name}'. Branches: {known}.")
        return commit

    def find(self, names: Sequence[str]) -> list[str | None]:
        """The full hashes of commits by their beginnings; None for what is not there, or not unique."""
        found: list[str | None] = []
        for line in self._check([f"{name}^{{commit}}" for name in names]):
            words = line.split(" ")
            found.append(words[0] if len(words) == 3 and words[1] == "commit" else None)
        return found

    def line(self, tip: str) -> list[Commit]:
        """The commits from the first to `tip` along first parents, as far as they are there."""
        (self._ours / "shallow").write_text("".join(f"{id}\n" for id in self._shallow()), encoding="ascii")
        ids = plumbing.run(self._ours, "rev-list", "--first-parent", "--reverse", tip, "--").decode().split()
        return self.commits(ids)

    def commits(self, ids: Sequence[str]) -> list[Commit]:
        return [_commit(id, data) for id, data in zip(ids, plumbing.read_many(self._ours, ids), strict=True)]

    def blobs(self, commits: Sequence[str], script: str) -> list[str | None]:
        """The blob of the script in each commit; None where it is not there."""
        found: list[str | None] = []
        for line in self._check([f"{commit}:{script}" for commit in commits]):
            words = line.split(" ")
            found.append(words[0] if len(words) == 3 and words[1] == "blob" else None)
        return found

    def texts(self, blobs: Sequence[str]) -> list[bytes]:
        return plumbing.read_many(self._ours, blobs)

    def _check(self, names: Sequence[str]) -> list[str]:
        """What `cat-file --batch-check` says of each name, in order."""
        if not names:
            return []
        lines = "".join(f"{name}\n" for name in names)
        said = plumbing.run(self._ours, "cat-file", "--batch-check", stdin=lines.encode()).decode(errors="replace")
        return said.splitlines()

    def _shallow(self) -> list[str]:
        path = _common(self._place) / "shallow"
        return _HASH.findall(path.read_text(encoding="ascii", errors="replace")) if path.is_file() else []


@contextmanager
def open_foreign(path: Path) -> Iterator[Foreign]:
    """Open the repository at `path`: a work tree, or a bare one. Raises UserError where there is none to read."""
    place = _git_dir(path)
    common = _common(place)
    objects = (common / "objects").resolve()
    settings = (common / "config").read_text(errors="replace") if (common / "config").is_file() else ""
    for pattern, what in (
        (r"objectformat\s*=\s*sha256", "SHA-256 hashes"),
        (r"refstorage\s*=\s*reftable", "reftables"),
    ):
        if re.search(pattern, settings, re.IGNORECASE):
            raise UserError(f"{path} uses {what}, which the import cannot read. Clone it into an ordinary repository.")
    if "\n" in str(objects):
        raise UserError(f"{path!r} has a line feed in its name: move it elsewhere first.")
    with tempfile.TemporaryDirectory(prefix="evolve-import-") as scratch:
        ours = Path(scratch) / "ours.git"
        plumbing.run(ours, "init", "--quiet", "--bare", "--template=", "--object-format=sha1")
        (ours / "objects" / "info").mkdir(exist_ok=True)
        (ours / "objects" / "info" / "alternates").write_text(f"{objects}\n", encoding="utf-8")
        yield Foreign(path, place, ours)


def _git_dir(path: Path) -> Path:
    """Where the repository's own files are."""
    inside = path / ".git"
    if inside.is_file():  # a linked work tree, or a submodule
        text = inside.read_text(encoding="utf-8", errors="replace").strip()
        inside = path / text.removeprefix("gitdir:").strip()
    for place in (inside, path):
        if (place / "HEAD").is_file() and (_common(place) / "objects").is_dir():
            return place
    raise UserError(f"There is no git repository at '{path}'.")


def _common(place: Path) -> Path:
    """The folder that linked work trees share."""
    link = place / "commondir"
    return place / link.read_text(encoding="utf-8", errors="replace").strip() if link.is_file() else place


def _references(place: Path) -> dict[str, str]:
    """All references that name a commit, or a tag of one, read from the files."""
    common = _common(place)
    raw: dict[str, str] = {}
    packed = common / "packed-refs"
    if packed.is_file():
        for line in packed.read_text(encoding="utf-8", errors="replace").splitlines():
            words = line.split(" ", 1)
            if len(words) == 2 and _HASH.fullmatch(words[0]):
                raw[words[1].strip()] = words[0]
    for file in (common / "refs").rglob("*"):
        if file.is_file() and not file.is_symlink():
            raw[file.relative_to(common).as_posix()] = file.read_text(encoding="utf-8", errors="replace").strip()
    if (place / "HEAD").is_file():
        raw["HEAD"] = (place / "HEAD").read_text(encoding="utf-8", errors="replace").strip()
    return {name: value for name in raw if (value := _followed(raw, name)) is not None}


def _followed(raw: dict[str, str], name: str) -> str | None:
    value = raw[name]
    for _ in range(_LINKS):
        if not value.startswith("ref: "):
            break
        value = raw.get(value.removeprefix("ref: ").strip(), "")
    return value if _HASH.fullmatch(value) else None


def _commit(id: str, data: bytes) -> Commit:
    header, _, message = data.partition(b"\n\n")
    lines = header.decode(errors="replace").splitlines()
    parents = tuple(line.removeprefix("parent ") for line in lines if line.startswith("parent "))
    committer = next((line for line in lines if line.startswith("committer ")), "")
    seconds = re.search(r"> (\d+) [+-]\d{4}$", committer)
    subject = message.decode(errors="replace").strip().partition("\n")[0].strip()
    return Commit(id, parents, subject, float(seconds[1]) if seconds else 0.0)
