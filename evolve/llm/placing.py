"""Finds the lines of a genome that a block means: whole lines, and in one place only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

TAB_WIDTH = 4


@dataclass(frozen=True)
class Placement:
    """Lines `start` to `end` (half-open, counted from 0) of the parent become `replacement`."""

    start: int
    end: int
    replacement: tuple[str, ...]


def placements(search: Sequence[str], replace: Sequence[str], lines: Sequence[str]) -> list[Placement]:
    """Every place that `search` can mean, by the strictest of these readings that finds any.

    1. the same lines;
    2. the same but for white space at their ends;
    3. the same but for indentation, where one linear rule maps the indentation of all lines of `search`
       to that of the place; `replace` is then indented by that rule;
    4. the three again without blank lines at the edges of `search`.

    A looser reading is tried only where a stricter one finds nothing, so it never adds an ambiguity.
    """
    for wanted, new in ((search, replace), _without_blank_edges(search, replace)):
        if not any(line.strip() for line in wanted):
            continue
        for key in (str, str.rstrip):
            starts = _starts(wanted, lines, key)
            if starts:
                return [_placement(start, wanted, new, new) for start in starts]
        found = []
        for start in _starts(wanted, lines, str.strip):
            indented = _reindent(wanted, lines[start : start + len(wanted)], new)
            if indented is not None:
                found.append(_placement(start, wanted, new, indented))
        if found:
            return found
    return []


def _starts(wanted: Sequence[str], lines: Sequence[str], key: Callable[[str], str]) -> list[int]:
    needle = [key(line) for line in wanted]
    hay = [key(line) for line in lines]
    count = len(needle)
    return [i for i in range(len(hay) - count + 1) if hay[i] == needle[0] and hay[i : i + count] == needle]


def _placement(start: int, wanted: Sequence[str], new: Sequence[str], final: Sequence[str]) -> Placement:
    """Without the lines at both edges that the block repeats only to say where it belongs."""
    shared = min(len(wanted), len(new))
    head = 0
    while head < shared and wanted[head] == new[head]:
        head += 1
    tail = 0
    while tail < shared - head and wanted[-1 - tail] == new[-1 - tail]:
        tail += 1
    return Placement(start + head, start + len(wanted) - tail, tuple(final[head : len(final) - tail]))


def _without_blank_edges(search: Sequence[str], replace: Sequence[str]) -> tuple[list[str], list[str]]:
    wanted, new = list(search), list(replace)
    for edge in (0, -1):
        while wanted and not wanted[edge].strip():
            wanted.pop(edge)
            if new and not new[edge].strip():
                new.pop(edge)
    return wanted, new


def _reindent(wanted: Sequence[str], place: Sequence[str], new: Sequence[str]) -> list[str] | None:
    """`new` with the indentation of `place`; None where no linear rule maps that of `wanted` to it."""
    pairs = sorted({(_width(w), _width(p)) for w, p in zip(wanted, place, strict=True) if w.strip()})
    (low, low_to), (high, high_to) = pairs[0], pairs[-1]
    slope = (high_to - low_to) / (high - low) if high > low else 1.0
    if slope <= 0 or any(to != low_to + slope * (width - low) for width, to in pairs):
        return None
    tabs = any("\t" in _indentation(line) for line in place)
    result = []
    for line in new:
        width = low_to + slope * (_width(line) - low)
        if not line.strip():
            result.append("")
        elif width < 0 or width != int(width):
            return None
        else:
            result.append(_spaces(int(width), tabs) + line.lstrip())
    return result


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _width(line: str) -> int:
    return len(_indentation(line).expandtabs(TAB_WIDTH))


def _spaces(width: int, tabs: bool) -> str:
    return "\t" * (width // TAB_WIDTH) + " " * (width % TAB_WIDTH) if tabs else " " * width
