"""Applies an edit (SEARCH/REPLACE blocks, a unified diff, a whole file) to a parent: exactly, or not at all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evolve.llm.placing import Placement, placements
from evolve.llm.rejection import Kind, ReplyRejected
from evolve.variation.source import parse_alone

FUZZ = 2  # lines of context at each edge of a hunk that may be wrong
SHARED = 0.3  # of the parent's lines must come back in a whole file

# A comment that stands for code: "# ... rest as before ...", "# existing code", "# unchanged ..."
_ELISION = re.compile(
    r"^\s*#\s*(?:(?:\.\.\.|…)|.*\b(?:rest of (?:the |your )?(?:code|file|script)|existing code)\b|"
    r".*\b(?:unchanged|same as before|remains the same|omitted)\b.*(?:\.\.\.|…)\s*$)",
    re.IGNORECASE,
)
_MAIN = re.compile(r"^if\s+__name__\s*==", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Whole lines to find in the parent and what stands there in the child."""

    search: tuple[str, ...]
    replace: tuple[str, ...]


@dataclass(frozen=True)
class Blocks:
    """All blocks are read against the parent's text, not against each other's results."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Hunk:
    """Lines with their mark (' ', '-', '+'); `header` holds old start, old count, new start, new count."""

    lines: tuple[str, ...]
    header: tuple[int, int, int, int] | None = None

    def block(self, fuzz: int = 0) -> Block:
        """The hunk as a block, up to `fuzz` lines of context less at each edge."""
        lines = list(self.lines)
        for edge in (0, -1):
            for _ in range(fuzz):
                if lines and lines[edge].startswith(" "):
                    lines.pop(edge)
        return Block(
            tuple(line[1:] for line in lines if line[0] != "+"), tuple(line[1:] for line in lines if line[0] != "-")
        )

    @property
    def context_edges(self) -> int:
        """How many lines of context stand at the longer of its two edges."""
        marks = "".join(line[0] for line in self.lines)
        return max(len(marks) - len(marks.lstrip(" ")), len(marks) - len(marks.rstrip(" ")))


@dataclass(frozen=True)
class UnifiedDiff:
    hunks: tuple[Hunk, ...]


@dataclass(frozen=True)
class WholeFile:
    text: str


Edit = Blocks | UnifiedDiff | WholeFile


def apply(edit: Edit, parent: str) -> str:
    """The child: `parent` with the edit, in the parent's line ends, closed by one.

    Blocks and hunks are found by whole lines and in one place only; a hunk's line numbers count only where
    all headers of its diff agree with their hunks and with each other, so that they were computed.

    Raises ReplyRejected: empty search, not found, ambiguous, overlapping, fragment, elided, no-op, unparsable.
    """
    lines = _lines(parent)
    if isinstance(edit, WholeFile):
        child = _lines(edit.text)
        _check_whole(child, lines)
    elif isinstance(edit, Blocks):
        child = _splice(lines, _place_blocks(edit, lines))
    else:
        child = _splice(lines, _place_by_number(edit, lines) or _place_hunks(edit, lines))
    while child and not child[-1].strip():
        child.pop()
    _check_child(child, lines)
    end = "\r\n" if "\r\n" in parent else "\n"
    return end.join(child) + end


def _lines(text: str) -> list[str]:
    """Only line feeds end a line: str.splitlines would also cut at form feeds and others inside of strings."""
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def _place_blocks(edit: Blocks, lines: Sequence[str]) -> list[Placement]:
    placed = []
    distinct = list(dict.fromkeys(edit.blocks))
    for number, block in enumerate(distinct, 1):
        name = f"block {number}" if len(distinct) > 1 else "the block"
        if block.search != block.replace:
            placed.append(_the_one_place(block, lines, name))
    return placed


def _place_hunks(edit: UnifiedDiff, lines: Sequence[str]) -> list[Placement]:
    placed = []
    for number, hunk in enumerate(edit.hunks, 1):
        name = f"hunk {number}" if len(edit.hunks) > 1 else "the hunk"
        whole = hunk.block()
        if whole.search == whole.replace:
            continue
        block = whole
        for fuzz in range(min(FUZZ, hunk.context_edges) + 1):
            candidate = hunk.block(fuzz)
            if placements(candidate.search, candidate.replace, lines):
                block = candidate
                break
        placed.append(_the_one_place(block, lines, name))
    return placed


def _the_one_place(block: Block, lines: Sequence[str], name: str) -> Placement:
    if not any(line.strip() for line in block.search):
        if any(line.strip() for line in lines):
            raise ReplyRejected(Kind.EMPTY_SEARCH, f"{name} does not say which lines of the file it replaces.")
        return Placement(0, len(lines), block.replace)
    found = placements(block.search, block.replace, lines)
    first = next(line.strip() for line in block.search if line.strip())
    if not found:
        raise ReplyRejected(
            Kind.NOT_FOUND,
            f"the {len(block.search)} lines to replace in {name}, from {_short(first)}, are not in the file as it was "
            "given (blocks are read against that file, not against each other's results).",
        )
    if len(found) > 1:
        places = _numbers(found)
        raise ReplyRejected(
            Kind.AMBIGUOUS,
            f"the lines to replace in {name}, from {_short(first)}, are in the file {len(found)} times, "
            f"at lines {places}: repeat more of the lines around the place that is meant.",
        )
    return found[0]


def _numbers(found: Sequence[Placement]) -> str:
    """Line numbers, from 1, of the first line that would change, of at most ten places."""
    numbers = ", ".join(str(place.start + 1) for place in found[:10])
    return numbers + (", ..." if len(found) > 10 else "")


def _place_by_number(edit: UnifiedDiff, lines: Sequence[str]) -> list[Placement]:
    """The places that the headers state; empty unless all headers are consistent and every hunk fits there."""
    shift = 0
    end = 0
    placed = []
    for hunk in edit.hunks:
        block = hunk.block()
        if hunk.header is None or not block.search:
            return []
        old_start, old_count, new_start, new_count = hunk.header
        start = old_start - 1
        true_new = start + shift + (1 if block.replace else 0)
        counted = (old_count, new_count) == (len(block.search), len(block.replace))
        if not counted or new_start != true_new or start < end:
            return []
        if tuple(lines[start : start + old_count]) != block.search:
            return []
        placed.append(Placement(start, start + old_count, block.replace))
        shift += new_count - old_count
        end = start + old_count
    return placed


def _splice(lines: Sequence[str], placed: Sequence[Placement]) -> list[str]:
    child: list[str] = []
    at = 0
    for place in sorted(placed, key=lambda one: (one.start, one.end)):  # stable: inserts in one place keep their order
        if place.start < at:
            raise ReplyRejected(Kind.OVERLAPPING, f"two blocks change line {place.start + 1} of the file.")
        child += [*lines[at : place.start], *place.replacement]
        at = place.end
    return [*child, *lines[at:]]


def _check_whole(child: Sequence[str], parent: Sequence[str]) -> None:
    """Refuse a piece of code: the next step would take what it leaves out for deleted."""
    old = Counter(line.strip() for line in parent if line.strip())
    new = Counter(line.strip() for line in child if line.strip())
    shared, total = (old & new).total(), old.total()
    if shared < SHARED * total:
        raise ReplyRejected(
            Kind.FRAGMENT,
            f"the code holds {shared} of the file's {total} lines, so it is not the whole file: "
            "send SEARCH/REPLACE blocks, or all of it.",
        )
    if _MAIN.search("\n".join(parent)) and not _MAIN.search("\n".join(child)):
        raise ReplyRejected(Kind.FRAGMENT, "the code ends without the file's 'if __name__' lines: it is not all of it.")


def _check_child(child: Sequence[str], parent: Sequence[str]) -> None:
    known = set(parent)
    for number, line in enumerate(child, 1):
        if line not in known and _ELISION.match(line):
            raise ReplyRejected(
                Kind.ELIDED, f"line {number}, {_short(line.strip())}, stands for code that was left out: write it out."
            )
    if [line.rstrip() for line in child] == _without_end([line.rstrip() for line in parent]):
        raise ReplyRejected(Kind.NO_OP, "the edit changes nothing: the file after it is the file before it.")
    try:
        parse_alone("\n".join(child) + "\n")
    except SyntaxError as error:
        where = f" at line {error.lineno}, {_short((error.text or '').strip())}" if error.lineno else ""
        raise ReplyRejected(Kind.UNPARSABLE, f"the file after the edit is not Python: {error.msg}{where}.") from error
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes, surrogates; nesting beyond the parser
        raise ReplyRejected(Kind.UNPARSABLE, f"the file after the edit cannot be parsed: {error}.") from error


def _without_end(lines: list[str]) -> list[str]:
    while lines and not lines[-1]:
        lines = lines[:-1]
    return lines


def _short(line: str) -> str:
    return f"'{line if len(line) <= 60 else line[:57] + '...'}'"
