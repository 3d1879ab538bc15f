"""The little Markdown that replies and prompts need: fences around code, and quoting that cannot be closed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_LINE = 300  # characters of a quotation in a line

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*([^`]*)$")


@dataclass(frozen=True)
class Fence:
    """A fenced part of a text: lines `start` to `end` (half-open, with the marks) hold `lines`."""

    language: str  # in lower case; empty where none is given
    lines: tuple[str, ...]
    start: int
    end: int
    closed: bool


def fences(lines: Sequence[str]) -> list[Fence]:
    """The fences of a text, in order. One is closed by a mark of its own kind that is at least as long."""
    found = []
    at = 0
    while at < len(lines):
        opening = _FENCE.match(lines[at])
        if opening is None:
            at += 1
            continue
        mark, info = opening.groups()
        end = at + 1
        while end < len(lines) and not _closes(lines[end], mark):
            end += 1
        language = info.split()[0].lower() if info.split() else ""
        closed = end < len(lines)
        found.append(Fence(language, tuple(lines[at + 1 : end]), at, min(end + 1, len(lines)), closed))
        at = end + 1
    return found


def _closes(line: str, mark: str) -> bool:
    text = line.strip()
    return len(text) >= len(mark) and set(text) == {mark[0]}


def shorten(text: str, limit: int) -> str:
    """`text` with about `limit` characters: the middle gives way, because the first and last lines say most."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[len(text) - half :]}"


def quote(text: str, language: str = "", limit: int | None = None) -> str:
    """`text`, of about `limit` characters, in a fence longer than any run of back-ticks in it: it cannot close it."""
    if limit is not None:
        text = shorten(text, limit)
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text.rstrip(chr(10))}\n{fence}"


def quote_line(text: str, limit: int = LONGEST_LINE) -> str:
    """`text` as one line of at most `limit` characters between marks longer than any run of back-ticks in it.

    For what was written by models and programs and stands amid our own words: it can begin no line, so that it
    opens no fence and no heading, and it cannot end its quotation.
    """
    line = " ".join(text.split())
    line = line if len(line) <= limit else line[: limit - 1] + "…"
    mark = "`" * (_longest_run(line) + 1)
    space = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{mark}{space}{line}{space}{mark}"


def _longest_run(text: str) -> int:
    """Of back-ticks."""
    return max((len(run) for run in re.findall("`+", text)), default=0)
