"""Reads Python source as a tree of statements that keeps every character: what the merge works on."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import lru_cache

from evolve.variation.clauses import COMPOUND, clauses_of, end_line, start_line
from evolve.variation.source import split_lines, syntax_tree

# Deeper than this a statement is one unit. Python itself allows 100 levels; recursion over 40 stays far from
# the interpreter's recursion limit, however deep the caller stands.
DEPTH_LIMIT = 40

_ONCE = ("else", "finally")
_BLANK = " \t\f\r\n"


class Unit:
    """A statement, or a further clause of one (`elif`, `else`, `except`, `finally`, `case`).

    Its text is `trivia + head + suite + clauses`, each part exact:
    trivia   comment and blank lines above it
    head     decorators and the header of a compound statement; all lines of any other statement
    suite    the nested block; None for a simple statement and where the block shares the header's line
    clauses  further clauses of a compound statement

    `key` pairs a statement with its other version (same targets, same name, same kind). `named` tells that
    two statements of that key cannot stand side by side as two independent insertions. `label` is the
    statement's name for a reader.
    """

    __slots__ = ("clauses", "code", "head", "key", "label", "named", "suite", "text", "trivia")

    def __init__(
        self,
        trivia: str,
        head: str,
        key: str,
        *,
        label: str = "",
        named: bool = False,
        suite: Suite | None = None,
        clauses: tuple[Unit, ...] = (),
    ) -> None:
        self.trivia = trivia
        self.head = head
        self.key = key
        self.label = label or key
        self.named = named
        self.suite = suite
        self.clauses = clauses
        self.code = head + (suite.text if suite else "") + "".join(clause.text for clause in clauses)
        self.text: str = trivia + self.code

    @property
    def identity(self) -> str:
        """What two insertions at the same place must share to be versions of one statement."""
        return self.key if self.named else f"{self.key}\n{self.head}"


class Suite:
    """A block: its statements, the comments after the last one, and the white space it is indented by."""

    __slots__ = ("indent", "tail", "text", "units")

    def __init__(self, units: tuple[Unit, ...], tail: str, indent: str) -> None:
        self.units = units
        self.tail = tail
        self.indent = indent
        self.text: str = "".join(unit.text for unit in units) + tail


@lru_cache(maxsize=32)  # a population's genomes are parsed again and again: as parents, and as their bases
def parse(source: str) -> Suite:
    """The module as a suite, not to be changed. `parse(source).text` is the source, with a newline at its end.

    Raises Unparsable.
    """
    tree = syntax_tree(source)
    lines = split_lines(source)
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += "\n"
    return _Reader(lines).suite(tree.body, 0, len(lines), 0)


class _Reader:
    """Cuts lines into units. Line numbers here count from 0 and ends are exclusive."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def text(self, start: int, end: int) -> str:
        return "".join(self.lines[start:end])

    def is_trivia(self, line: int) -> bool:
        stripped = self.lines[line].lstrip(_BLANK)
        return not stripped or stripped.startswith("#")

    def indent(self, line: int) -> str:
        text = self.lines[line]
        return text[: len(text) - len(text.lstrip(" \t\f"))]

    def suite(self, body: Sequence[ast.stmt], start: int, end: int, depth: int) -> Suite:
        groups = self._groups(body)
        units = []
        at = start
        for number, group in enumerate(groups):
            first, last = start_line(group[0]), end_line(group[-1])
            following = start_line(groups[number + 1][0]) if number + 1 < len(groups) else end
            if isinstance(group[0], COMPOUND) and len(group) == 1 and depth < DEPTH_LIMIT:
                last = self._with_comments(first, last, following)
                units.append(self._compound(group[0], at, first, last, depth))
            else:
                units.append(self._simple(group, at, first, last))
            at = last
        indent = self.indent(start_line(body[0])) if body else ""
        return Suite(tuple(units), self.text(at, end), indent)

    def _groups(self, body: Sequence[ast.stmt]) -> list[list[ast.stmt]]:
        """Statements that share a line, or a backslash at its end, belong together."""
        groups: list[list[ast.stmt]] = []
        for node in body:
            if groups:
                last = end_line(groups[-1][-1])
                if start_line(node) < last or self.lines[last - 1].rstrip("\r\n").endswith("\\"):
                    groups[-1].append(node)
                    continue
            groups.append([node])
        return groups

    def _with_comments(self, first: int, last: int, following: int) -> int:
        """Where a statement ends when comments below it that are indented deeper are its own."""
        indent = len(self.indent(first).expandtabs())
        end = last
        for line in range(last, following):
            if not self.lines[line].strip(_BLANK):
                continue
            if not self.is_trivia(line) or len(self.indent(line).expandtabs()) <= indent:
                break
            end = line + 1
        return end

    def _simple(self, group: list[ast.stmt], at: int, first: int, last: int) -> Unit:
        names = [self._name(node) for node in group]
        return Unit(
            self.text(at, first),
            self.text(first, last),
            "; ".join(key for key, _, _ in names),
            label="; ".join(label for _, label, _ in names),
            named=all(named for _, _, named in names),
        )

    def _compound(self, node: ast.stmt, at: int, first: int, last: int, depth: int) -> Unit:
        key, label, named = self._name(node)
        parts = clauses_of(node)
        clauses: list[Unit] = []
        start = first
        for number, (clause, floor, body) in enumerate(parts):
            if number:  # from the end of the clause above to this clause's own line
                at = start
                while self.is_trivia(start):
                    start += 1
            trivia = self.text(at, start)
            end = last
            if number + 1 < len(parts):
                opening = start_line(parts[number + 1][2][0])
                end = self._with_comments(start, end_line(body[-1]) if body else floor, opening)
            head, suite = self._block(body, start, floor, end, depth)
            clauses.append(Unit(trivia, head, clause, named=clause in _ONCE, suite=suite))
            start = end
        own = clauses[0]
        return Unit(
            own.trivia,
            own.head,
            key,
            label=label,
            named=named,
            suite=own.suite,
            clauses=tuple(clauses[1:]),
        )

    def _block(
        self, body: Sequence[ast.stmt], start: int, floor: int, end: int, depth: int
    ) -> tuple[str, Suite | None]:
        if not body:  # the header of a match statement
            return self.text(start, end), None
        opening = start_line(body[0])
        if opening == body[0].lineno - 1 and len(self.indent(opening)) != body[0].col_offset:
            # The block shares its header's last line.
            return self.text(start, end), None
        head_end = self._head_end(max(floor, start + 1), opening)
        return self.text(start, head_end), self.suite(body, head_end, end, depth + 1)

    def _head_end(self, floor: int, opening: int) -> int:
        """The header ends above the comments that stand before its block; `floor`: not before this line."""
        while opening > floor and self.is_trivia(opening - 1):
            opening -= 1
        return opening

    def _name(self, node: ast.stmt) -> tuple[str, str, bool]:
        """(key, label, named) of a statement."""
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return f"def {node.name}{_accessor(node)}", node.name, node.name != "_"
            case ast.ClassDef():
                return f"class {node.name}", node.name, True
            case ast.Assign():
                target = " = ".join(self._segment(target) for target in node.targets)
                return target, target, True
            case ast.AnnAssign():
                target = self._segment(node.target)
                return target, target, True
            case ast.AugAssign():
                target = self._segment(node.target)
                return f"{target} augmented", target, True
            case ast.Import() | ast.ImportFrom():
                return self._segment(node), "import", True
            case ast.Expr(value=ast.Call() as call):
                name = self._segment(call.func)
                return f"call {name}", name, False
            case ast.Expr(value=ast.Await(value=ast.Call() as call)):
                name = self._segment(call.func)
                return f"call {name}", name, False
            case ast.Expr(value=ast.Constant(value=str())):
                return "string", "docstring", True
            case ast.Return() | ast.Raise() | ast.Break() | ast.Continue() | ast.Pass():
                kind = type(node).__name__.lower()
                return kind, kind, True
            case _:
                kind = type(node).__name__.removeprefix("Async").lower()
                return kind, kind, False

    def _segment(self, node: ast.expr | ast.stmt) -> str:
        """The node's source with its white space collapsed."""
        first, last = node.lineno - 1, end_line(node) - 1
        lines = [line.encode() for line in self.lines[first : last + 1]]  # ast counts columns in bytes
        lines[-1] = lines[-1][: node.end_col_offset]
        lines[0] = lines[0][node.col_offset :]
        return " ".join(b"".join(lines).decode().split())


def _accessor(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """`.setter` for a property's setter, which shares its name with the getter."""
    for decorator in node.decorator_list:
        match decorator:
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name == node.name:
                return f".{attribute}"
    return ""
