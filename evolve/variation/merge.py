"""Three-way merge of Python sources, keyed by statement: edits to neighbouring statements do not conflict."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from evolve.variation.alignment import align
from evolve.variation.source import compiles, split_lines
from evolve.variation.statements import Suite, Unit, parse

WHOLE_FILE = "<module>"

_WORD = re.compile(r"\w+")


class Conflict(NamedTuple):
    """Two edits of one statement that exclude each other. An empty text: the statement is not there."""

    path: str  # enclosing classes and functions, then the statement: 'GPT.forward', 'main.lr', 'MATRIX_LR'
    base: str
    ours: str
    theirs: str
    chosen: str  # what stands in the merged text


class Merge(NamedTuple):
    """The merged text and what could not be merged in it."""

    text: str
    conflicts: tuple[Conflict, ...]


Resolve = Callable[[Conflict], str | None]


def merge(base: str, ours: str, theirs: str, resolve: Resolve | None = None) -> Merge:
    """Merge what `ours` and `theirs` did to `base`; a conflict keeps the text of ours and is told.

    Statements pair with their base version first by equal text, then by key (targets, name, kind). A
    statement that both sides edited is merged part by part: comments above it, header, block, further
    clauses. Comments and blank lines merge by line and never conflict. When all three parse and ours
    compiles, so does the result; where the parts do not compile together, the file is one conflict.

    `resolve` may answer a conflict with the lines to put there, at the indentation of the hunk; None, or an
    answer with which the file does not compile, keeps ours.

    Raises source.Unparsable where one of three differing texts is not Python.
    """
    if ours in (theirs, base):
        return Merge(theirs, ())
    if theirs == base:
        return Merge(ours, ())
    pieces = list(_suite(parse(base), parse(ours), parse(theirs), _Scope((), unique_names=True)))
    if not compiles(_text(pieces)):
        pieces = [Conflict(WHOLE_FILE, base, ours, theirs, ours)]
    if resolve is not None:
        _resolve(pieces, resolve)
    return Merge(_text(pieces), tuple(piece for piece in pieces if isinstance(piece, Conflict)))


_Piece = str | Conflict


def _text(pieces: Sequence[_Piece]) -> str:
    return "".join(piece if isinstance(piece, str) else piece.chosen for piece in pieces)


def _resolve(pieces: list[_Piece], resolve: Resolve) -> None:
    """Ask for each conflict's text in turn, and keep the answers with which the file compiles."""
    for index, piece in enumerate(pieces):
        if isinstance(piece, str):
            continue
        answer = resolve(piece)
        if answer is None:
            continue
        if answer and not answer.endswith("\n"):
            answer += "\n"
        pieces[index] = piece._replace(chosen=answer)
        if not compiles(_text(pieces)):
            pieces[index] = piece


class _Scope(NamedTuple):
    """Where in the file a suite stands."""

    path: tuple[str, ...]
    unique_names: bool  # in a module or class a name is assigned once; in a function again and again

    def within(self, unit: Unit) -> _Scope:
        kind = unit.key.partition(" ")[0]
        if kind in ("def", "class") and unit.suite is not None:
            return _Scope((*self.path, unit.label), unique_names=kind == "class")
        return self

    def conflict(self, unit: Unit, base: str, ours: str, theirs: str) -> Conflict:
        return Conflict(".".join((*self.path, unit.label)), base, ours, theirs, ours)

    def only_one(self, unit: Unit) -> bool:
        """Whether a second statement of this key anywhere in the suite would undo the first."""
        is_definition = unit.key.startswith(("def ", "class "))
        return unit.named and (is_definition or (self.unique_names and unit.key.isidentifier()))


def _suite(base: Suite, ours: Suite, theirs: Suite, scope: _Scope) -> Iterator[_Piece]:
    entries = _sequence(base.units, ours.units, theirs.units, scope)
    if base.indent and not any(_has_code(_text(pieces)) for _, pieces in entries):
        yield f"{ours.indent}pass\n"
    for _, pieces in entries:
        yield from pieces
    yield _lines(base.tail, ours.tail, theirs.tail)


def _has_code(text: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("#") for line in split_lines(text))


_Entry = tuple[Unit, list[_Piece]]


def _sequence(base: Sequence[Unit], ours: Sequence[Unit], theirs: Sequence[Unit], scope: _Scope) -> list[_Entry]:
    """Merge statements of one suite, or clauses of one statement."""
    our_partners = align(base, ours, _exact, _kinship)
    their_partners = align(base, theirs, _exact, _kinship)
    our_runs, their_runs = _insertions(our_partners, len(ours)), _insertions(their_partners, len(theirs))
    taken = {ours[j].key: ours[j] for run in our_runs for j in run if scope.only_one(ours[j])}
    for unit, o, t in zip(base, our_partners, their_partners, strict=True):
        if t is None and o is not None and ours[o].text != unit.text and scope.only_one(unit):
            taken[unit.key] = ours[o]  # theirs moved what ours edited: the edit stays where it is
    entries: list[_Entry] = []
    for index in range(len(base) + 1):
        our_run = [ours[j] for j in our_runs[index]]
        their_run = [theirs[j] for j in their_runs[index]]
        entries += _inserted(our_run, their_run, taken, scope)
        if index < len(base):
            o, t = our_partners[index], their_partners[index]
            our_unit = None if o is None else ours[o]
            their_unit = None if t is None else theirs[t]
            entries.append((our_unit or base[index], _kept(base[index], our_unit, their_unit, scope)))
    return entries


def _exact(unit: Unit) -> str:
    return unit.text


def _kinship(a: Unit, b: Unit) -> int:
    """How surely two different texts are versions of one statement: of one key, and the more words shared."""
    if a.key != b.key:
        return 0
    if a.code == b.code:
        return 1 << 20
    a_words, b_words = set(_WORD.findall(a.code)), set(_WORD.findall(b.code))
    shared = len(a_words & b_words) * 1000 // (len(a_words | b_words) or 1)
    return 1 + shared + (1 << 10 if a.head == b.head else 0)


def _insertions(partners: Sequence[int | None], count: int) -> list[list[int]]:
    """Indices of a side's items without partner, by the base item they stand before (the last: at the end).

    An insertion next to a deletion stands before the deleted item.
    """
    runs: list[list[int]] = [[] for _ in range(len(partners) + 1)]
    matched = [(index, partner) for index, partner in enumerate(partners) if partner is not None]
    gap = at = 0
    for index, partner in [*matched, (len(partners), count)]:
        runs[gap] += range(at, partner)
        gap, at = index + 1, partner + 1
    return runs


def _inserted(ours: Sequence[Unit], theirs: Sequence[Unit], taken: dict[str, Unit], scope: _Scope) -> list[_Entry]:
    """What both inserted at one place: ours first, then of theirs what ours does not have."""
    rivals: dict[str, list[Unit]] = {}
    for unit in theirs:
        rivals.setdefault(unit.identity, []).append(unit)
    entries: list[_Entry] = []
    for unit in ours:
        candidates = rivals.get(unit.identity)
        if not candidates:
            entries.append((unit, [unit.text]))
            continue
        rival = next((other for other in candidates if other.text == unit.text), candidates[0])
        candidates.remove(rival)
        trivia = _lines("", unit.trivia, rival.trivia)
        same = rival.code == unit.code
        entries.append((unit, [trivia, unit.code if same else scope.conflict(unit, "", unit.code, rival.code)]))
    ours_here = {unit.identity for unit in ours}
    for unit in theirs:
        if not any(unit is left for left in rivals[unit.identity]):
            continue
        elsewhere = taken.get(unit.key) if scope.only_one(unit) else None
        if elsewhere is None and unit.identity not in ours_here:
            entries.append((unit, [unit.text]))
        elif elsewhere is None or elsewhere.code != unit.code:
            entries.append((unit, [scope.conflict(unit, "", "", unit.text)]))
    return entries


def _kept(base: Unit, ours: Unit | None, theirs: Unit | None, scope: _Scope) -> list[_Piece]:
    """One statement of the base, edited, deleted or left alone by either side."""
    if ours is None or theirs is None:
        left = ours or theirs
        if left is None:
            return []
        if left.code == base.code:
            return [_lines(base.trivia, "", left.trivia)]  # a comment written above what is gone is not lost
        if ours is None:
            return [scope.conflict(base, base.text, "", left.text)]
        return [scope.conflict(base, base.text, left.text, "")]
    if ours.text in (base.text, theirs.text):
        return [theirs.text]
    if theirs.text == base.text:
        return [ours.text]
    trivia = _lines(base.trivia, ours.trivia, theirs.trivia)
    return [trivia, *_code(base, ours, theirs, scope)]


def _code(base: Unit, ours: Unit, theirs: Unit, scope: _Scope) -> Iterator[_Piece]:
    if ours.code in (base.code, theirs.code):
        yield theirs.code
    elif theirs.code == base.code:
        yield ours.code
    elif not _same_shape(base, ours, theirs):
        yield scope.conflict(ours, base.code, ours.code, theirs.code)
    else:
        if ours.head in (base.head, theirs.head):
            yield theirs.head
        elif theirs.head == base.head:
            yield ours.head
        else:
            yield scope.conflict(ours, base.head, ours.head, theirs.head)
        inner = scope.within(ours)
        if base.suite and ours.suite and theirs.suite:
            yield from _suite(base.suite, ours.suite, theirs.suite, inner)
        entries = _sequence(base.clauses, ours.clauses, theirs.clauses, inner)
        for _, pieces in sorted(entries, key=lambda entry: _clause_order(entry[0])):
            yield from pieces


def _same_shape(base: Unit, ours: Unit, theirs: Unit) -> bool:
    """Whether the parts can be merged one by one: all three have blocks, those to mix equally indented."""
    if base.suite and ours.suite and theirs.suite:
        return ours.suite.indent == theirs.suite.indent
    if base.suite or ours.suite or theirs.suite:
        return False
    return bool(base.clauses and ours.clauses and theirs.clauses)


def _clause_order(clause: Unit) -> int:
    """Where Python wants a clause: what catches everything after the others, then else, then finally."""
    return {"except:": 1, "case _": 1, "else": 2, "finally": 3}.get(clause.key, 0)


def _lines(base: str, ours: str, theirs: str) -> str:
    """Merge comments and blank lines line by line. What either side added stays, so nothing conflicts."""
    if ours in (base, theirs):
        return theirs
    if theirs == base:
        return ours
    base_lines, our_lines, their_lines = split_lines(base), split_lines(ours), split_lines(theirs)
    our_partners = align(base_lines, our_lines, str, _strangers)
    their_partners = align(base_lines, their_lines, str, _strangers)
    our_runs = _insertions(our_partners, len(our_lines))
    their_runs = _insertions(their_partners, len(their_lines))
    merged: list[str] = []
    for index in range(len(base_lines) + 1):
        run = [our_lines[j] for j in our_runs[index]]
        merged += run
        present = Counter(run)
        for line in (their_lines[j] for j in their_runs[index]):
            if present[line]:
                present[line] -= 1
            else:
                merged.append(line)
        if index < len(base_lines) and our_partners[index] is not None and their_partners[index] is not None:
            merged.append(base_lines[index])
    return "".join(merged)


def _strangers(_a: str, _b: str) -> int:
    return 0
