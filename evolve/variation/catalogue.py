"""A genome's tunable constants: reads their search spaces from comments, sets them, and mutates them."""

from __future__ import annotations

import ast
import difflib
import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from evolve.errors import UserError
from evolve.variation.source import parse_alone, split_lines, syntax_tree

Value = bool | int | float | str | None

_ANNOTATION = re.compile(r"[\s);]*#\s*(range|choices)\s*:([^;\r\n]*)")
_RANGE = re.compile(r"\s*(\S+?)\s*\.\.\s*(\S+)(\s+log)?\s*")


@dataclass(frozen=True)
class Range:
    """An interval, both ends included; `log` where ratios matter and not differences."""

    low: float
    high: float
    log: bool = False

    def position(self, value: float) -> float:
        """Where a value lies, 0 at the low end to 1 at the high end, on the range's own scale."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        return (self._scaled(value) - low) / (high - low)

    def at(self, position: float) -> float:
        """The value at a position: the inverse of `position`."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        scaled = low + position * (high - low)
        return math.exp(scaled) if self.log else scaled

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.log else value

    def __str__(self) -> str:
        return f"{self.low!r}..{self.high!r}{' log' if self.log else ''}"


@dataclass(frozen=True)
class Constant:
    """A top-level `NAME = literal` with its search space, and where the literal stands in the text."""

    name: str
    value: Value
    space: Range | tuple[Value, ...]  # a range, or the values to choose from
    kind: type  # int, float or, with choices, the type of the present value
    line: int  # counted from 1
    span: tuple[int, int]  # the literal's first character in the genome's text and the one after its last

    def check(self, value: Value) -> Value:
        """The value in this constant's kind: 4.0 as 4 for an int, 1 as 1.0 for a float.

        Raises UserError for what is outside the range, not among the choices, or of the wrong kind.
        """
        if isinstance(self.space, tuple):
            for choice in self.space:
                if choice == value and isinstance(choice, bool) == isinstance(value, bool):
                    return choice
            choices = " ".join(map(str, self.space))
            raise UserError(f"line {self.line}: {self.name} = {value!r} is not among its choices: {choices}.")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UserError(f"line {self.line}: {self.name} = {value!r} has a range, so it must be a number.")
        if self.kind is int and value != int(value if math.isfinite(value) else 0):
            raise UserError(f"line {self.line}: {self.name} = {value!r} must be an integer.")
        if not self.space.low <= value <= self.space.high:
            raise UserError(f"line {self.line}: {self.name} = {value!r} is outside its range {self.space}.")
        return int(value) if self.kind is int else float(value)


def constants(genome: str) -> list[Constant]:
    """The annotated constants of a genome, in order.

    `NAME = 0.02  # range: 0.005..0.08 log` (an int with integer ends stays an int) or
    `NAME = "relu2"  # choices: relu2 gelu silu`; a remark may follow after a semicolon.
    Raises UserError, with the line number, for an annotation that cannot be read, a value that is outside its
    range or not among its choices, and a name annotated twice; source.Unparsable for what is not Python.
    """
    return list(_constants(genome))


@lru_cache(maxsize=64)  # parents are asked again and again
def _constants(genome: str) -> tuple[Constant, ...]:
    lines = split_lines(genome)
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    found: dict[str, Constant] = {}
    for node in syntax_tree(genome).body:
        assert node.end_lineno is not None and node.end_col_offset is not None  # ast.parse sets them
        annotation = _ANNOTATION.match(_from_byte(lines[node.end_lineno - 1], node.end_col_offset))
        if annotation is None or not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        name, literal, value = _assignment(node, annotation[1])
        start = offsets[literal.lineno - 1] + _column(lines[literal.lineno - 1], literal.col_offset)
        assert literal.end_lineno is not None and literal.end_col_offset is not None
        end = offsets[literal.end_lineno - 1] + _column(lines[literal.end_lineno - 1], literal.end_col_offset)
        if name in found:
            raise UserError(f"line {node.lineno}: {name} is annotated twice, first in line {found[name].line}.")
        read = _range if annotation[1] == "range" else _choices
        space, kind = read(node.lineno, annotation[2], value)
        constant = Constant(name, value, space, kind, node.lineno, (start, end))
        constant.check(value)
        found[name] = constant
    return tuple(found.values())


def substitute(genome: str, values: Mapping[str, Value]) -> str:
    """The genome with other values; nothing but the literals changes.

    Raises UserError for an unknown name or a value that its constant does not take.
    """
    return _substitute(genome, constants(genome), values)


def mutate(genome: str, rng: random.Random) -> tuple[str, str]:
    """Change one to three constants, mostly one: (the new genome, the idea as a sentence).

    Raises UserError where the genome has no constant to change.
    """
    return mutate_constants(genome, constants(genome), rng)


def mutate_constants(genome: str, declared: list[Constant], rng: random.Random) -> tuple[str, str]:
    """`mutate` where the genome's constants are already read."""
    if not declared:
        raise UserError("The genome has no constant with a '# range:' or '# choices:' comment to mutate.")
    count = min(rng.choices((1, 2, 3), weights=(70, 20, 10))[0], len(declared))
    picked = sorted(rng.sample(range(len(declared)), count))
    values = {declared[index].name: _step(declared[index], rng) for index in picked}
    changes = [
        f"{'Set ' if number == 0 else ''}{declared[index].name} to {values[declared[index].name]} "
        f"(was {declared[index].value})"
        for number, index in enumerate(picked)
    ]
    idea = ", ".join(changes[:-1]) + (" and " if count > 1 else "") + changes[-1]
    return _substitute(genome, declared, values), idea


def random_value(constant: Constant, rng: random.Random) -> Value:
    """A value from anywhere in the constant's space, uniform on the space's own scale."""
    if isinstance(constant.space, tuple):
        return rng.choice(constant.space)
    return _rounded(constant.space.at(rng.random()), constant)


def _substitute(genome: str, declared: list[Constant], values: Mapping[str, Value]) -> str:
    names = [constant.name for constant in declared]
    for name in values:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise UserError(f"The genome has no annotated constant '{name}'.{hint}")
    pieces = []
    at = 0
    for constant in declared:
        if constant.name in values:
            start, end = constant.span
            literal = _literal(constant.check(values[constant.name]), genome[start:end])
            pieces += [genome[at:start], literal]
            at = end
    return "".join([*pieces, genome[at:]])


def _literal(value: Value, old: str) -> str:
    """The value as Python source, in the quotes that the old literal had where that is possible."""
    if isinstance(value, str) and old[:1] == '"' and not re.search(r'["\\]', value) and value.isprintable():
        return f'"{value}"'
    return repr(value)


def _step(constant: Constant, rng: random.Random) -> Value:
    """Another value than the present one, near or far in the space: the fine tuning is the numeric operator's."""
    if isinstance(constant.space, tuple):
        return rng.choice([choice for choice in constant.space if choice != constant.value])
    space = constant.space
    assert isinstance(constant.value, int | float)  # checked when it was read
    position = space.position(constant.value)
    scale = rng.choices((0.1, 0.25, 1.0), weights=(3, 4, 3))[0]
    for _ in range(16):  # a step may be rounded away, on a short range of integers most of the time
        value = _rounded(space.at(_reflect(rng.gauss(position, scale))), constant)
        if value != constant.value:
            return value
        scale = min(1.0, 1.5 * scale)
    far = space.low if position > 0.5 else space.high
    return constant.check(far)


def _reflect(position: float) -> float:
    """Fold a position outside 0..1 back in at the borders: clipping would pile values up on them."""
    position = abs(position) % 2
    return min(position, 2 - position)


def _rounded(value: float, constant: Constant) -> int | float:
    """Three significant digits, inside the range."""
    assert isinstance(constant.space, Range)
    rounded = min(max(float(f"{value:.3g}"), constant.space.low), constant.space.high)
    return round(rounded) if constant.kind is int else float(rounded)


def _assignment(node: ast.Assign | ast.AnnAssign, word: str) -> tuple[str, ast.expr, Value]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if len(targets) != 1 or not isinstance(targets[0], ast.Name) or node.value is None:
        raise UserError(f"line {node.lineno}: '# {word}:' must stand after `NAME = literal`.")
    try:
        value = ast.literal_eval(node.value)
    except (ValueError, TypeError, RecursionError, MemoryError):
        value = ...
    if value is not None and not isinstance(value, bool | int | float | str):
        raise UserError(
            f"line {node.lineno}: {targets[0].id} has '# {word}:', so its value must be a literal number, "
            "string, True, False or None."
        )
    return targets[0].id, node.value, value


def _range(line: int, text: str, value: Value) -> tuple[Range, type]:
    match = _RANGE.fullmatch(text)
    if match is None:
        raise UserError(f"line {line}: '# range:{text}' must read '# range: LOW..HIGH' or '# range: LOW..HIGH log'.")
    ends = [_number(line, end) for end in (match[1], match[2])]
    low, high = ends
    if not low < high:
        raise UserError(f"line {line}: the range {low}..{high} is empty: LOW must be below HIGH.")
    if match[3] and low <= 0:
        raise UserError(f"line {line}: the range {low}..{high} log must begin above zero.")
    kind = int if all(isinstance(number, int) for number in (*ends, value)) else float
    return Range(low, high, log=bool(match[3])), kind


def _number(line: int, text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"line {line}: '{text}' in '# range:' is not a number.")
    return number


def _choices(line: int, text: str, value: Value) -> tuple[tuple[Value, ...], type]:
    choices = tuple(_choice(word, value) for word in text.split())
    if len(set(map(repr, choices))) < max(2, len(choices)):
        raise UserError(f"line {line}: '# choices:{text}' must name two or more different values.")
    return choices, type(value)


def _choice(word: str, value: Value) -> Value:
    """A word of `# choices:`: itself for a string constant, else the literal that it spells."""
    try:
        literal = ast.literal_eval(parse_alone(word, "eval"))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return word
    if isinstance(value, str) and not isinstance(literal, str):
        return word
    return literal if literal is None or isinstance(literal, bool | int | float | str) else word


def _from_byte(line: str, offset: int) -> str:
    return line.encode()[offset:].decode()


def _column(line: str, offset: int) -> int:
    """ast counts columns in bytes of UTF-8; text is indexed by character."""
    return len(line.encode()[:offset].decode())
