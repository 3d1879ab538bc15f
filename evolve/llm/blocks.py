"""Reads SEARCH/REPLACE blocks: every marker must be right, or the whole reply is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence

from evolve.llm.edits import Block, Blocks
from evolve.llm.markdown import fences
from evolve.llm.rejection import Kind, ReplyRejected

_FILE = r"(?:\s+[\w./\\-]+\.\w+)?"
_HEAD = re.compile(rf"^\s*(<{{5,9}})\s*SEARCH{_FILE}\s*[:>]?\s*$", re.IGNORECASE)
_DIVIDER = re.compile(r"^\s*(={5,9})\s*$")
_TAIL = re.compile(rf"^\s*>{{5,9}}\s*REPLACE{_FILE}\s*$", re.IGNORECASE)
# What was meant as a marker, right or wrong. Python has no line that starts like this outside of a string.
_MARKER = re.compile(r"^\s*(?:<{5,}|>{5,}|(?:<{2,}|>{2,})\s*(?:SEARCH|REPLACE)\b)", re.IGNORECASE)


def has_blocks(lines: Sequence[str]) -> bool:
    """True where any line is, or was meant as, the marker of a block."""
    return any(_MARKER.match(line) for line in lines)


def read_blocks(lines: Sequence[str]) -> tuple[Blocks, set[int]]:
    """The blocks of a text and the numbers (from 0) of the lines that they take.

    Raises ReplyRejected: malformed block, truncated.
    """
    blocks = []
    taken: set[int] = set()
    at = 0
    while at < len(lines):
        if not _MARKER.match(lines[at]):
            at += 1
            continue
        head = _HEAD.match(lines[at])
        if head is None:
            raise _malformed(at, lines[at], "is not '<<<<<<< SEARCH'")
        end = at + 1
        while end < len(lines) and not _MARKER.match(lines[end]):
            end += 1
        if end == len(lines):
            raise _unfinished(lines, at)
        if not _TAIL.match(lines[end]):
            raise _malformed(end, lines[end], f"stands where the block of line {at + 1} has no '>>>>>>> REPLACE' yet")
        divider = _divider(lines, at + 1, end, len(head.group(1)))
        blocks.append(Block(_inner(lines[at + 1 : divider]), _inner(lines[divider + 1 : end])))
        taken.update(range(at, end + 1))
        at = end + 1
    return Blocks(tuple(blocks)), taken


def _divider(lines: Sequence[str], start: int, end: int, length: int) -> int:
    """The one line of '='; where the code has such lines too, the one that is as long as the header's mark."""
    found = {i: len(match.group(1)) for i in range(start, end) if (match := _DIVIDER.match(lines[i]))}
    if len(found) > 1:
        found = {i: size for i, size in found.items() if size == length}
    if len(found) != 1:
        count = "no" if not found else str(len(found))
        raise _malformed(start - 1, lines[start - 1], f"opens a block with {count} lines of '======='")
    return next(iter(found))


def _inner(lines: Sequence[str]) -> tuple[str, ...]:
    """Without a fence around all of one side, which some models put inside of the markers."""
    text = list(lines)
    while text and not text[0].strip():
        text.pop(0)
    while text and not text[-1].strip():
        text.pop()
    inside = fences(text)
    if len(inside) == 1 and inside[0].closed and (inside[0].start, inside[0].end) == (0, len(text)):
        return inside[0].lines
    return tuple(lines)


def _unfinished(lines: Sequence[str], at: int) -> ReplyRejected:
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    if len(last) >= 3 and set(last) in ({"`"}, {"~"}):  # its fence is closed: nothing more was to come
        return _malformed(at, lines[at], "opens a block without '>>>>>>> REPLACE'")
    return ReplyRejected(Kind.TRUNCATED, f"the block that opens at line {at + 1} of the reply has no end.")


def _malformed(number: int, line: str, why: str) -> ReplyRejected:
    shown = line.strip()[:60]
    return ReplyRejected(Kind.MALFORMED_BLOCK, f"line {number + 1} of the reply, '{shown}', {why}.")
