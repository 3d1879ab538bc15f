"""Generated Python modules with edits whose joint effect is known: what the merge's laws are tested on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import strategies as st

INDENT = "    "


@dataclass
class Node:
    """A statement. `lines` hold `{v}` where its value goes; `clauses` are (header lines, block)."""

    id: int
    comment: str
    blank: int
    lines: list[str]
    clauses: list[tuple[list[str], list[Node]]] = field(default_factory=list)


@dataclass
class Program:
    body: list[Node]
    first_comment: str
    last_comment: str

    def nodes(self) -> list[Node]:
        return _nodes(self.body)


# What is done to a statement: ("modify", value), ("delete", _), ("comment", n) or ("insert", n) above it.
Edit = tuple[str, int]


def _nodes(body: list[Node]) -> list[Node]:
    found = []
    for node in body:
        found.append(node)
        for _, block in node.clauses:
            found += _nodes(block)
    return found


def render(program: Program, edits: Mapping[int, list[Edit]] | None = None) -> str:
    """The program's text, edited."""
    text = program.first_comment + _block(program.body, "", edits or {})
    return text + program.last_comment


def _block(body: list[Node], indent: str, edits: Mapping[int, list[Edit]]) -> str:
    text = "".join(_node(node, indent, edits.get(node.id, []), edits) for node in body)
    return text or f"{indent}pass\n"


def _node(node: Node, indent: str, own: list[Edit], edits: Mapping[int, list[Edit]]) -> str:
    inserted = "".join(f"{indent}new_{node.id}_{n} = {n}\n" for kind, n in own if kind == "insert")
    if any(kind == "delete" for kind, _ in own):
        return inserted
    value = next((n for kind, n in own if kind == "modify"), node.id)
    text = inserted + "\n" * node.blank
    text += "".join(f"{indent}# note {n} on {node.id}\n" for kind, n in own if kind == "comment")
    if node.comment:
        text += f"{indent}# {node.comment}\n"
    text += "".join(f"{indent}{line.replace('{v}', str(value))}\n" for line in node.lines)
    for header, block in node.clauses:
        text += "".join(f"{indent}{line.replace('{v}', str(value))}\n" for line in header)
        text += _block(block, indent + INDENT, edits)
    return text


SIMPLE = [
    ["C{id} = {v}"],
    ["C{id}: float = {v}  # range: 0..9999"],
    ["C{id} = (", "    {v},", "    # inside", ")"],
    ['S{id} = """first {v}\n# no comment\n    last"""'],
    ["a{id} = {v}; b{id} = 2"],
    ["total{id} += {v}"],
    ["print('p{id}', {v})"],
    ["obj{id}.step({v})"],
    ["assert x{id} > {v}"],
    ["import module{id}  # {v}"],
    ["x{id}, y{id} = \\", "    1, {v}"],
    ["if one_line{id}: run({v})"],
]
COMPOUND = [
    [["def f{id}(x={v}):"]],
    [["@cache", "def g{id}(", "    x,", "    y={v},", "):"]],
    [["class K{id}(Base, n={v}):"]],
    [["if c{id} > {v}:"]],
    [["if c{id} > {v}:"], ["else:"]],
    [["if c{id} > {v}:"], ["elif d{id}:"], ["# about the rest", "else:"]],
    [["for i{id} in range({v}):"]],
    [["while w{id} < {v}:"], ["else:"]],
    [["with open('{id}', {v}) as h{id}:"]],
    [["try:"], ["except Error{id}:  # {v}"], ["finally:"]],
]


@st.composite
def programs(draw: st.DrawFn, size: int = 7) -> Program:
    """Modules of constants, functions, classes, nested ifs, loops, comments and decorators."""
    counter = iter(range(100, 10_000))
    body = draw(_blocks(counter, depth=0, size=size))
    return Program(body, draw(st.sampled_from(["", '"""Doc."""\n', "# top\n"])), draw(_LAST))


_LAST = st.sampled_from(["", "\n# the end\n", "\n\n"])
_COMMENTS = st.sampled_from(["", "", "why", "section ----"])


@st.composite
def _blocks(draw: st.DrawFn, counter, depth: int, size: int) -> list[Node]:  # type: ignore[no-untyped-def]
    return [draw(_statements(counter, depth)) for _ in range(draw(st.integers(1, size)))]


@st.composite
def _statements(draw: st.DrawFn, counter, depth: int) -> Node:  # type: ignore[no-untyped-def]
    id = next(counter)
    comment, blank = draw(_COMMENTS), draw(st.integers(0, 2))

    def fill(lines: list[str]) -> list[str]:
        return [line.replace("{id}", str(id)) for line in lines]

    if depth < 3 and draw(st.integers(0, 2)) == 0:
        headers = draw(st.sampled_from(COMPOUND))
        clauses = [(fill(header), draw(_blocks(counter, depth + 1, 3))) for header in headers]
        return Node(id, comment, blank, [], clauses)
    return Node(id, comment, blank, fill(draw(st.sampled_from(SIMPLE))))


@st.composite
def disjoint_edits(draw: st.DrawFn) -> tuple[Program, dict[int, list[Edit]], dict[int, list[Edit]]]:
    """A program and two sets of edits that touch different statements.

    The first statement of a block is never deleted: what an emptied block looks like is no matter of edits.
    """
    program = draw(programs())
    sides: tuple[dict[int, list[Edit]], dict[int, list[Edit]]] = ({}, {})

    def edit(body: list[Node]) -> None:
        for number, node in enumerate(body):
            kinds = ["modify", "comment", "insert"] + (["delete"] if number else [])
            side, kind = draw(st.sampled_from([0, 1, 2, 3])), draw(st.sampled_from(kinds))
            if side < 2:
                sides[side][node.id] = [(kind, 5000 + node.id)]
                if kind == "delete":
                    continue
            for _, block in node.clauses:
                edit(block)

    edit(program.body)
    return program, *sides


@st.composite
def any_edits(draw: st.DrawFn, program: Program) -> dict[int, list[Edit]]:
    """Edits of any of the program's statements, which may collide with other edits."""
    kinds = st.sampled_from(["modify", "comment", "insert", "delete"])
    edits = st.lists(st.tuples(kinds, st.integers(1, 3)), max_size=2)
    return {node.id: draw(edits) for node in program.nodes() if draw(st.booleans())}
