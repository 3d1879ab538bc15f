"""What the syntax tree says of compound statements: their clauses, and the lines that nodes span."""

from __future__ import annotations

import ast

COMPOUND = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.Try,
    ast.TryStar,
    ast.With,
    ast.AsyncWith,
    ast.Match,
)


def clauses_of(node: ast.stmt) -> list[tuple[str, int, list[ast.stmt]]]:
    """(kind, the line that the header surely reaches, block) of each clause, the first one included."""
    match node:
        case ast.If():
            clauses = [("if", end_line(node.test), node.body)]
            # An `elif` is an If alone in the block of the else, at the column of the If it belongs to; an
            # If inside an `else:` block stands deeper. A loop, because chains are longer than stacks.
            while len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
                if node.orelse[0].col_offset != node.col_offset:
                    break
                node = node.orelse[0]
                clauses.append(("elif", end_line(node.test), node.body))
            return clauses + _optional("else", node.orelse)
        case ast.For() | ast.AsyncFor():
            return [("for", end_line(node.iter), node.body), *_optional("else", node.orelse)]
        case ast.While():
            return [("while", end_line(node.test), node.body), *_optional("else", node.orelse)]
        case ast.Try() | ast.TryStar():
            handlers = [
                ("except" if h.type else "except:", end_line(h.type) if h.type else h.lineno, h.body)
                for h in node.handlers
            ]
            ends = _optional("else", node.orelse) + _optional("finally", node.finalbody)
            return [("try", node.lineno, node.body), *handlers, *ends]
        case ast.Match():
            cases = [(_case(case), end_line(case.guard or case.pattern), case.body) for case in node.cases]
            return [("match", end_line(node.subject), []), *cases]
        case ast.With() | ast.AsyncWith():
            last = node.items[-1].optional_vars or node.items[-1].context_expr
            return [("with", end_line(last), node.body)]
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            arguments = node.args
            names = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            names += [name for name in (arguments.vararg, arguments.kwarg) if name]
            values = [*arguments.defaults, *(value for value in arguments.kw_defaults if value)]
            values += [node.returns] if node.returns else []
            lines = [node.lineno, *map(end_line, names), *map(end_line, values)]
            return [("def", max(lines), node.body)]
        case ast.ClassDef():
            lines = [node.lineno, *map(end_line, node.bases), *map(end_line, node.keywords)]
            return [("class", max(lines), node.body)]
    raise AssertionError(type(node))  # COMPOUND and this function name the same types


def _optional(kind: str, body: list[ast.stmt]) -> list[tuple[str, int, list[ast.stmt]]]:
    return [(kind, 0, body)] if body else []


def _case(case: ast.match_case) -> str:
    """A pattern that matches everything must come last, so it is a clause of its own kind."""
    catches_all = isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None and not case.guard
    return "case _" if catches_all else "case"


def start_line(node: ast.stmt) -> int:
    """First line, counted from 0, decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return (decorators[0].lineno if decorators else node.lineno) - 1


def end_line(node: ast.expr | ast.stmt | ast.pattern | ast.arg | ast.keyword) -> int:
    """The line after the last one, counted from 0."""
    assert node.end_lineno is not None  # ast.parse always sets it
    return node.end_lineno
