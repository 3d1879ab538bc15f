"""Reads unified diffs as models write them: headers may be absent, and counts wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from evolve.llm.edits import Hunk, UnifiedDiff
from evolve.llm.markdown import fences
from evolve.llm.rejection import Kind, ReplyRejected

_NUMBERS = re.compile(r"^@@\s*-(\d{1,9})(?:,(\d{1,9}))?\s+\+(\d{1,9})(?:,(\d{1,9}))?\s*@@")
_PREAMBLE = re.compile(r"^(?:diff |index [0-9a-f]|new file mode |old mode |new mode |similarity |rename |\*\*\* )")


def read_diff(lines: Sequence[str]) -> tuple[UnifiedDiff, set[int]] | None:
    """The diff in a text's fences, or in the bare text, with the numbers (from 0) of its lines; None: no diff.

    Raises ReplyRejected: malformed diff, several files, truncated.
    """
    hunks: list[Hunk] = []
    taken: set[int] = set()
    paths: set[str] = set()
    for fence in fences(lines):
        marked = fence.language in ("diff", "patch", "udiff")
        if not marked and not _looks_like_diff(fence.lines):
            continue
        if not fence.closed:
            raise ReplyRejected(Kind.TRUNCATED, f"the fence that opens at line {fence.start + 1} has no end.")
        found, _ = _hunks(fence.lines, paths, fenced=True)
        hunks += found
        taken.update(range(fence.start, fence.end))
    if not hunks and not taken and _looks_like_diff(lines):
        first = next(i for i in range(len(lines)) if _starts_diff(lines, i))
        hunks, length = _hunks(lines[first:], paths, fenced=False)
        taken.update(range(first, first + length))
    if not taken:
        return None
    if len(paths) > 1:
        raise ReplyRejected(
            Kind.SEVERAL_FILES, f"the diff changes {', '.join(sorted(paths))}: only the genome may change."
        )
    changed = tuple(hunk for hunk in hunks if any(line[0] != " " for line in hunk.lines))
    if not changed:
        raise ReplyRejected(Kind.NO_OP, "the diff neither adds nor removes a line.")
    return UnifiedDiff(changed), taken


def _starts_diff(lines: Sequence[str], at: int) -> bool:
    return lines[at].startswith("@@") or _is_file_header(lines, at)


def _is_file_header(lines: Sequence[str], at: int) -> bool:
    """'--- old' with '+++ new' below; alone, it would be a removed line that starts with '-- '."""
    return lines[at].startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ ")


def _looks_like_diff(lines: Sequence[str]) -> bool:
    return any(_starts_diff(lines, i) for i in range(len(lines)))


def _hunks(lines: Sequence[str], paths: set[str], *, fenced: bool) -> tuple[list[Hunk], int]:
    """The hunks and how many lines were read; a bare diff ends at the first line that is none of its own."""
    hunks: list[Hunk] = []
    header: tuple[int, int, int, int] | None = None
    body: list[str] = []

    def close() -> None:
        while body and not body[-1]:  # an empty line without its mark parts hunks more often than it is context
            body.pop()
        if body:
            hunks.append(Hunk(tuple(line or " " for line in body), header))
        body.clear()

    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("@@"):
            close()
            match = _NUMBERS.match(line)
            header = _numbers(match) if match else None
        elif _is_file_header(lines, at):
            close()
            header = None
            paths.add(_path(lines[at + 1][4:]))
            at += 1
        elif _PREAMBLE.match(line):
            close()
        elif line.startswith("\\"):
            pass  # "No newline at end of file"
        elif not line or line[0] in " +-":
            body.append(line)
        elif fenced:
            raise ReplyRejected(
                Kind.MALFORMED_DIFF, f"'{line[:60]}' in the diff starts with none of ' ', '-', '+' and '@@'."
            )
        else:
            break
        at += 1
    close()
    return hunks, at


def _numbers(match: re.Match[str]) -> tuple[int, int, int, int]:
    old_start, old_count, new_start, new_count = match.groups()
    return int(old_start), int(old_count or 1), int(new_start), int(new_count or 1)


def _path(text: str) -> str:
    return PurePosixPath(text.split("\t")[0].strip().strip('"').replace("\\", "/")).name
