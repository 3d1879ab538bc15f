"""A lineage's steps on another base: constants set, steps carried over by the statement merge."""

from __future__ import annotations

import ast
import difflib
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from evolve.errors import UserError
from evolve.individual import Individual
from evolve.lineages.removal import Step
from evolve.variation.catalogue import Range, Value, constants
from evolve.variation.merge import merge
from evolve.variation.source import Unparsable, normalise, split_lines, syntax_tree

_SPACE = re.compile(r"(#\s*(?:range|choices)\s*:)([^;\r\n]*)")


@dataclass(frozen=True)
class Carried:
    """What came of carrying a step over."""

    source: Individual  # the step's child, or REF where all steps were squashed
    text: str  # the genome afterwards; as before where the step was left out
    conflicts: tuple[str, ...]  # statements in which the base differs from what the step changed
    fixed: tuple[str, ...]  # constants that the user set, and the step would have changed
    left_out: bool  # because of the conflicts
    nothing_new: bool  # the base has it already


def carry(text: str, step: Step, fixed: Collection[str], *, whole: bool = True) -> Carried:
    """Do to `text` what the step did to its parent.

    A statement that the user fixed stays. A step in conflict elsewhere is left out, or, unless it is to be taken
    `whole`, keeps the text of the base there. Raises UserError where a genome is not Python.
    """
    parent, child = step
    try:
        merged = merge(normalise(parent.genome), text, normalise(child.genome))
    except Unparsable as error:
        raise UserError(f"{child.name} cannot be carried over: one of the genomes is not Python ({error}).") from error
    conflicts = tuple(dict.fromkeys(one.path for one in merged.conflicts if one.path not in fixed))
    kept = tuple(dict.fromkeys(one.path for one in merged.conflicts if one.path in fixed))
    left_out = bool(conflicts) and whole
    after = text if left_out else merged.text
    return Carried(child, after, conflicts, kept, left_out, after == text and not left_out)


def rebased(text: str, steps: Sequence[Step], fixed: Collection[str], *, squash: bool) -> list[Carried]:
    """The steps one after the other on `text`, or all of them as one."""
    if squash:
        return [carry(text, (steps[0][0], steps[-1][1]), fixed, whole=False)]
    result: list[Carried] = []
    for step in steps:
        result.append(carry(text, step, fixed))
        text = result[-1].text
    return result


def parse_settings(words: Sequence[str]) -> dict[str, Value]:
    """NAME=VALUE words as values: Python literals, everything else a string. Raises UserError."""
    values: dict[str, Value] = {}
    for word in words:
        name, equals, literal = word.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise UserError(f"--set {word}: must read NAME=VALUE, such as --set DEPTH=12.")
        if name in values:
            raise UserError(f"--set {name} is given twice.")
        try:
            value = ast.literal_eval(literal.strip())
        except (ValueError, SyntaxError):
            value = literal.strip()
        if value is not None and not isinstance(value, bool | int | float | str):
            raise UserError(f"--set {word}: the value must be a number, a string, True, False or None.")
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"--set {word}: the value must be finite.")
        values[name] = value
    return values


def set_constants(genome: str, values: Mapping[str, Value]) -> str:
    """Give top-level constants other values; a search space that does not contain one is widened to it.

    Raises UserError for a name that the genome does not assign once, to a literal, and for a value of another kind.
    """
    for name, value in values.items():
        genome = _set(genome, name, value)
    return genome


def _set(genome: str, name: str, value: Value) -> str:
    literal = _literal_of(genome, name)
    old = ast.literal_eval(literal)
    value = _in_kind(name, old, value)
    lines = split_lines(genome)
    start = _offset(lines, literal.lineno, literal.col_offset)
    assert literal.end_lineno is not None and literal.end_col_offset is not None  # ast.parse sets them
    end = _offset(lines, literal.end_lineno, literal.end_col_offset)
    rest = genome[end:]
    try:
        space = next((one.space for one in constants(genome) if one.name == name), None)
    except UserError:
        space = None  # another constant's annotation cannot be read: not this command's concern
    if space is not None:
        rest = _widened(rest, space, name, value)
    return genome[:start] + _written(value, genome[start:end]) + rest


def _literal_of(genome: str, name: str) -> ast.expr:
    """The literal that a top-level statement assigns to `name`."""
    found: dict[str, list[ast.expr | None]] = {}
    try:
        body = syntax_tree(genome).body
    except Unparsable as error:
        raise UserError(f"The base is not Python: {error}") from error
    for node in body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append(node.value if len(targets) == 1 else None)
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        raise UserError(f"The base has no constant '{name}'." + (f" Did you mean '{near[0]}'?" if near else ""))
    values = found[name]
    literal = values[0]
    if len(values) > 1 or literal is None or not _is_literal(literal):
        raise UserError(f"--set {name}: the base must assign it once, as `{name} = literal`.")
    return literal


def _is_literal(node: ast.expr) -> bool:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError):
        return False
    return value is None or isinstance(value, bool | int | float | str)


def _in_kind(name: str, old: Value, value: Value) -> Value:
    """The value in the kind of the present one."""
    if isinstance(old, str) and not isinstance(value, str):
        return str(value)
    numbers = isinstance(old, int | float) and isinstance(value, int | float)
    if isinstance(old, bool) != isinstance(value, bool) or (isinstance(old, int | float) and not numbers):
        raise UserError(f"--set {name}={value}: it is {old!r} now, and the new value is of another kind.")
    if isinstance(old, int) and isinstance(value, float):
        if not value.is_integer():
            raise UserError(f"--set {name}={value}: it is {old!r} now, and must stay an integer.")
        return int(value)
    return float(value) if isinstance(old, float) and isinstance(value, int) else value


def _widened(rest: str, space: Range | tuple[Value, ...], name: str, value: Value) -> str:
    """The text after the literal, its annotation made to contain `value`."""
    if isinstance(space, Range):
        assert isinstance(value, int | float)  # as the present value, which has a range
        if space.log and value <= 0:
            raise UserError(f"--set {name}={value}: its range is logarithmic, so the value must be above zero.")
        if space.low <= value <= space.high:
            return rest
        text = str(Range(min(space.low, value), max(space.high, value), space.log))
    else:
        if any(choice == value and type(choice) is type(value) for choice in space):
            return rest
        text = " ".join(map(str, (*space, value)))
    return _SPACE.sub(lambda match: f"{match[1]} {text}", rest, count=1)


def _written(value: Value, old: str) -> str:
    plain = isinstance(value, str) and value.isprintable() and '"' not in value and "\\" not in value
    return f'"{value}"' if plain and old[:1] == '"' else repr(value)


def _offset(lines: Sequence[str], line: int, column: int) -> int:
    """Where a node begins in the text; ast counts columns in bytes of UTF-8."""
    return sum(map(len, lines[: line - 1])) + len(lines[line - 1].encode()[:column].decode())
