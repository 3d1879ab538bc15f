"""The statement tree keeps every character, and cuts where Python does."""

from __future__ import annotations

import ast
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.variation.source import Unparsable, normalise, split_lines
from evolve.variation.statements import DEPTH_LIMIT, Suite, Unit, parse
from tests.variation.programs import programs, render

AWKWARD = [
    "",
    "# only a comment",
    "x = 1\r\ny = 2\rz = 3\n",
    "x = 'a\x0cb\u2028c\x85d'\ny = 1\n",
    "\x0c\nx = 1\n\x0cy = 2\n",
    "x = 1; y = 2\nif a: b; c\nelse: d\n",
    "x = 1; \\\ny = 2\nz = 3\n",
    "x = 1 \\\n\ny = 2\n",
    "if x == '''\n# in a string\n''':  # out\n    # first\n    y = 1\n    # last\n# after\nz = 1\n",
    "def f(\n    a,  # one\n    b=2,\n):  # colon\n\n    # body\n    return a\n\n\n    # tail\n",
    "@a\n@b(\n    1\n)\ndef f(): return 1\n@ c\nclass K:\n  @d\n  def g(self):\n    pass\n",
    "if a:\n    x\n    # if's\n# else's\nelif b:\n    y\nelse:  # e\n    if c:\n        z\n",
    "try:\n    a\nexcept (B,\n        C) as d:\n    e\nexcept:\n    f\nelse:\n    g\nfinally:\n    h\n",
    "try:\n    a\nexcept* B: c\n",
    "match a:  # m\n    # one\n    case 1 | \\\n        2: x\n"
    "    case {'k': v} if v:\n        y\n        # deep\n    # shallow\n"
    "    case _:\n        z\n    # end\n",
    "async def f():\n    async with a as b, \\\n        c: pass\n"
    "    async for x in y:\n        await z\n    else:\n        w\n",
    "x = '\u00e4\u00f6'; y = '\u4e2d'\n\u00e4b = f('\u4e2d')\n",
    "if a:\n\tx = 1\n\tif b:\n\t\ty\n\t# c\n",
    "class A: pass\nclass B:\n    'doc'\n\n\n\n",
]


PUNCTUATION = [
    "x",
    "=1",
    "\n",
    "\n",
    "\r",
    "\r\n",
    "\x0c",
    "\u2028",
    "\x00",
    "# c",
    ";",
    "\\\n",
    "'''",
    "(",
    ")",
]


@pytest.mark.parametrize("text", AWKWARD)
def test_the_tree_keeps_every_character(text) -> None:
    ended = text if not text or text.endswith(("\n", "\r")) else text + "\n"
    assert parse(text).text == ended


@settings(max_examples=60, deadline=None, derandomize=True)
@given(programs())
def test_the_tree_of_a_generated_program_has_a_unit_for_each_statement(program) -> None:
    text = render(program)
    suite = parse(text)
    assert suite.text == text
    documented = text.startswith('"""')
    assert len(suite.units) == len(program.body) + documented
    assert len(flat(suite)) == len(program.nodes()) + documented


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(
        st.sampled_from(
            [
                "if a:",
                "else:",
                "def f():",
                "@d\n",
                "try:",
                "finally:",
                "match a:",
                "case _:",
                "  ",
                "    ",
                "\t",
                *PUNCTUATION,
            ],
        ),
        max_size=14,
    )
)
def test_any_text_is_kept_or_refused(pieces) -> None:
    text = "".join(pieces)
    try:
        suite = parse(text)
    except Unparsable:
        with pytest.raises((SyntaxError, ValueError)), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    else:
        assert suite.text in (text, text + "\n")


def flat(suite: Suite | None) -> list[Unit]:
    found: list[Unit] = []
    for unit in suite.units if suite else ():
        found += [unit, *flat(unit.suite)]
        for clause in unit.clauses:
            found += flat(clause.suite)
    return found


@pytest.mark.parametrize(
    ("code", "key"),
    [
        ("x = 1", "x"),
        ("x: int = 1", "x"),
        ("a, b = c  = d", "a, b = c"),
        ("self.x[\n  1] = 2", "self.x[ 1]"),
        ("x += 1", "x augmented"),
        ("from a import (b,\n    c)", "from a import (b, c)"),
        ("def f(): pass", "def f"),
        ("@f.setter\ndef f(): pass", "def f.setter"),
        ("class F: pass", "class F"),
        ("torch.manual_seed(1)", "call torch.manual_seed"),
        ("if a:\n  pass", "if"),
        ("async def f():\n  pass", "def f"),
        ("assert a", "assert"),
        ("'''doc'''", "string"),
        ("x = 1; print(2)", "x; call print"),
    ],
)
def test_keys(code, key) -> None:
    assert [unit.key for unit in parse(code).units] == [key]


def test_comments_go_with_what_they_are_indented_like() -> None:
    first, last = parse(AWKWARD[8]).units
    assert first.head == "if x == '''\n# in a string\n''':  # out\n"
    assert first.suite is not None
    assert first.suite.tail == "    # last\n"
    assert last.trivia == "# after\n"
    (condition,) = parse(AWKWARD[11]).units
    assert condition.suite is not None
    assert condition.suite.tail == "    # if's\n"
    assert [(clause.key, clause.trivia) for clause in condition.clauses] == [
        ("elif", "# else's\n"),
        ("else", ""),
    ]


def test_nesting_beyond_the_limit_is_one_unit_and_beyond_python_is_refused() -> None:
    def nested(depth: int) -> str:
        return "".join(f"{' ' * level}if x:\n" for level in range(depth)) + " " * depth + "y\n"

    suite = parse(nested(90))
    assert suite.text == nested(90)
    assert len(flat(suite)) == DEPTH_LIMIT + 1
    for text in (nested(101), "(" * 300 + ")" * 300, "-" * 100_000 + "1", "x = " + "a." * 100_000 + "b"):
        with pytest.raises(Unparsable):
            parse(text)


def test_a_long_chain_of_elifs_is_flat() -> None:
    (unit,) = parse("if a:\n  x\n" + "elif b:\n  y\n" * 150).units
    assert [clause.key for clause in unit.clauses] == ["elif"] * 150


@pytest.mark.parametrize(("text", "reason"), [("x = (\n", "line 1"), ("x\x00", "null"), ("x = '\ud800'", "surrogate")])
def test_refusals_say_why(text, reason) -> None:
    with pytest.raises(Unparsable, match=reason):
        parse(text)


def test_lines_end_where_the_tokenizer_says() -> None:
    text = "a\x0c\x1cb\u2028c\r\nd\re\n\nf"
    assert split_lines(text) == ["a\x0c\x1cb\u2028c\r\n", "d\r", "e\n", "\n", "f"]


def test_normalised_text_has_plain_line_ends_and_a_last_newline() -> None:
    assert normalise("\ufeffa = 1\r\nb = 2\rc = 3") == "a = 1\nb = 2\nc = 3\n"
    assert normalise("") == ""
