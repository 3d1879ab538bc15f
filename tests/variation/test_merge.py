"""The statement merge: its laws on generated programs, and what each kind of collision gives."""

from __future__ import annotations

import ast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evolve.variation.merge import WHOLE_FILE, Conflict, merge
from evolve.variation.source import Unparsable
from tests.variation.programs import any_edits, disjoint_edits, programs, render

LAWS = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def compiled(text: str) -> None:
    ast.parse(text)
    compile(text, "merged", "exec", dont_inherit=True)


@LAWS
@given(disjoint_edits())
def test_disjoint_edits_never_conflict_and_both_arrive(case) -> None:
    program, left, right = case
    base, ours, theirs = render(program), render(program, left), render(program, right)
    for text in (base, ours, theirs):
        compiled(text)
    merged = merge(base, ours, theirs)
    assert merged.conflicts == ()
    assert merged.text == render(program, left | right)


@LAWS
@given(st.data())
def test_one_sided_edits_pass_through(data) -> None:
    program = data.draw(programs())
    base, edited = render(program), render(program, data.draw(any_edits(program)))
    assert merge(base, edited, edited) == (edited, ())
    assert merge(base, edited, base) == (edited, ())
    assert merge(base, base, edited) == (edited, ())


@LAWS
@given(st.data())
def test_the_result_compiles_and_ours_wins_where_edits_collide(data) -> None:
    program = data.draw(programs())
    base = render(program)
    ours, theirs = (render(program, data.draw(any_edits(program))) for _ in range(2))
    merged = merge(base, ours, theirs)
    compiled(merged.text)
    assert merged == merge(base, ours, theirs)
    assert all(conflict.chosen == conflict.ours for conflict in merged.conflicts)
    for line in ours.splitlines():
        if "# note" in line and line not in base:
            assert line in merged.text


@LAWS
@given(programs(4), programs(4), programs(4))
def test_unrelated_programs_merge_to_something_that_compiles(base, ours, theirs) -> None:
    compiled(merge(render(base), render(ours), render(theirs)).text)


@LAWS
@given(st.data())
def test_any_answer_to_a_conflict_leaves_a_file_that_compiles(data) -> None:
    program = data.draw(programs())
    base = render(program)
    ours, theirs = (render(program, data.draw(any_edits(program))) for _ in range(2))

    def resolve(conflict: Conflict) -> str | None:
        return data.draw(st.sampled_from([None, "", conflict.theirs, conflict.ours, "x = (", "pass", "return"]))

    compiled(merge(base, ours, theirs, resolve).text)


CONSTANTS = "A = 1\nB = 2\nC = 3\n"


def test_neighbouring_constants_do_not_conflict() -> None:
    merged = merge(CONSTANTS, "A = 10\nB = 2\nC = 3\n", "A = 1\nB = 20\nC = 30\n")
    assert merged == ("A = 10\nB = 20\nC = 30\n", ())


def test_one_constant_set_twice_is_a_conflict_that_ours_wins() -> None:
    merged = merge(CONSTANTS, "A = 10\nB = 2\nC = 3\n", "A = 11\nB = 2\nC = 30\n")
    assert merged.text == "A = 10\nB = 2\nC = 30\n"
    assert merged.conflicts == (Conflict("A", "A = 1\n", "A = 10\n", "A = 11\n", "A = 10\n"),)


def test_equal_edits_arrive_once() -> None:
    ours, theirs = "A = 9\nN = 0\nB = 2\nC = 3\n", "A = 9\nN = 0\nB = 2\nC = 4\n"
    assert merge(CONSTANTS, ours, theirs) == ("A = 9\nN = 0\nB = 2\nC = 4\n", ())


def test_insertions_at_one_place_keep_both_ours_first() -> None:
    ours, theirs = CONSTANTS + "X = 1\n", CONSTANTS + "Y = 2\n"
    assert merge(CONSTANTS, ours, theirs) == (CONSTANTS + "X = 1\nY = 2\n", ())
    assert merge(CONSTANTS, theirs, ours) == (CONSTANTS + "Y = 2\nX = 1\n", ())


def test_insertions_of_one_name_conflict_wherever_they_stand() -> None:
    merged = merge(CONSTANTS, "X = 1\n" + CONSTANTS, CONSTANTS + "X = 2\n")
    assert merged.text == "X = 1\n" + CONSTANTS
    assert merged.conflicts == (Conflict("X", "", "", "X = 2\n", ""),)
    assert merge(CONSTANTS, "X = 1\n" + CONSTANTS, CONSTANTS + "X = 1\n") == ("X = 1\n" + CONSTANTS, ())


@pytest.mark.parametrize(
    ("ours", "theirs", "text", "conflict"),
    [
        ("A = 1\nC = 3\n", "A = 1\nB = 9\nC = 3\n", "A = 1\nC = 3\n", ("B", "B = 2\n", "", "B = 9\n", "")),
        (
            "A = 1\nB = 9\nC = 3\n",
            "A = 1\nC = 3\n",
            "A = 1\nB = 9\nC = 3\n",
            ("B", "B = 2\n", "B = 9\n", "", "B = 9\n"),
        ),
    ],
)
def test_deletion_against_edit_is_a_conflict(ours, theirs, text, conflict) -> None:
    assert merge(CONSTANTS, ours, theirs) == (text, (conflict,))


GPT = """\
class GPT:
    depth = 4

    # attention first
    def forward(self, x):
        if self.fast:
            x = self.fused(x)
        else:
            x = self.slow(x)
        return x

    def loss(self, x):
        return x.mean()
"""


def test_edits_inside_one_function_merge_statement_by_statement() -> None:
    ours = GPT.replace("self.fused(x)", "self.fused(x) * 2").replace(
        "(self, x):\n        if", "(self, x, y=0):\n        if"
    )
    theirs = GPT.replace("self.slow(x)", "self.slow(x) + 1").replace(
        "        return x\n", "        x = norm(x)\n        return x\n"
    )
    merged = merge(GPT, ours, theirs)
    assert merged.conflicts == ()
    for part in ("fused(x) * 2", "y=0", "slow(x) + 1", "x = norm(x)\n        return x\n"):
        assert part in merged.text


def test_a_conflict_is_named_by_class_and_function() -> None:
    ours, theirs = GPT.replace("return x\n", "return x * 2\n"), GPT.replace("return x\n", "return x * 3\n")
    header = merge(
        GPT,
        GPT.replace("forward(self, x)", "forward(self, x, a)"),
        GPT.replace("forward(self, x)", "forward(self, x, b)"),
    )
    assert [c.path for c in merge(GPT, ours, theirs).conflicts] == ["GPT.forward.return"]
    assert [c.path for c in header.conflicts] == ["GPT.forward"]


def test_comments_of_both_sides_are_kept() -> None:
    ours = GPT.replace("    # attention first\n", "    # attention first\n    # ours\n")
    theirs = GPT.replace("    # attention first\n", "    # theirs\n    # attention first\n")
    merged = merge(GPT, ours, theirs)
    assert merged.text == GPT.replace("    # attention first\n", "    # theirs\n    # attention first\n    # ours\n")
    assert merged.conflicts == ()


def test_a_comment_above_a_statement_that_the_other_side_deletes_is_not_lost() -> None:
    merged = merge(CONSTANTS, "A = 1\n# keep\nB = 2\nC = 3\n", "A = 1\nC = 3\n")
    assert merged == ("A = 1\n# keep\nC = 3\n", ())


def test_a_block_that_both_sides_empty_gets_a_pass() -> None:
    base = "def f():\n    a()\n    b()\nx = 1\n"
    merged = merge(base, base.replace("    a()\n", ""), base.replace("    b()\n", ""))
    assert merged == ("def f():\n    pass\nx = 1\n", ())


def test_clauses_come_in_the_order_that_python_wants() -> None:
    base = "if a:\n    x = 1\n"
    merged = merge(base, base + "else:\n    x = 2\n", base + "elif b:\n    x = 3\n")
    assert merged == ("if a:\n    x = 1\nelif b:\n    x = 3\nelse:\n    x = 2\n", ())
    base = "match a:\n    case 1:\n        x = 1\n"
    merged = merge(base, base + "    case _:\n        x = 2\n", base + "    case 2:\n        x = 3\n")
    assert merged.text == base + "    case 2:\n        x = 3\n    case _:\n        x = 2\n"


def test_a_function_moved_by_theirs_and_edited_by_ours_is_there_once() -> None:
    f, g, h = (f"def {name}():\n    return 1\n" for name in "fgh")
    merged = merge(f + g + h, f.replace("1", "2") + g + h, g + h + f)
    assert merged.text == f.replace("1", "2") + g + h
    assert merged.conflicts


def test_getter_and_setter_of_one_property_are_two_statements() -> None:
    getter = "    @property\n    def x(self):\n        return 1\n"
    setter = "    @x.setter\n    def x(self, value):\n        self.y = value\n"
    base = "class K:\n" + getter
    merged = merge(base, base.replace("return 1", "return 2"), base + setter)
    assert merged == (base.replace("return 1", "return 2") + setter, ())


def test_parts_that_do_not_compile_together_are_one_conflict() -> None:
    base = "def f():\n    for x in y:\n        a()\n"
    ours = base.replace("    for x in y:\n        a()\n", "    for x in y:\n        b()\n    x: int = 1\n")
    theirs = base.replace("def f():\n", "def f():\n    global x\n")
    for text in (ours, theirs):
        compiled(text)
    merged = merge(base, ours, theirs)
    assert merged == (ours, (Conflict(WHOLE_FILE, base, ours, theirs, ours),))


def test_a_function_indented_anew_by_one_side_is_a_conflict_of_that_function_alone() -> None:
    base = "def f():\n    a()\n    b()\nX = 1\n"
    ours = base.replace("    a()\n    b()\n", "  a()\n  b()\n")
    theirs = base.replace("b()", "b(2)").replace("X = 1", "X = 2")
    merged = merge(base, ours, theirs)
    assert merged.text == ours.replace("X = 1", "X = 2")
    assert [c.path for c in merged.conflicts] == ["f"]


def test_an_answer_replaces_the_hunk_and_a_broken_one_is_refused() -> None:
    ours, theirs = "A = 10\nB = 2\nC = 30\n", "A = 11\nB = 2\nC = 31\n"
    answers = {"A": "A = 10.5  # both", "C": "C = ("}
    merged = merge(CONSTANTS, ours, theirs, lambda conflict: answers[conflict.path])
    assert merged.text == "A = 10.5  # both\nB = 2\nC = 30\n"
    assert [conflict.chosen for conflict in merged.conflicts] == ["A = 10.5  # both\n", "C = 30\n"]


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_what_is_not_python_is_refused(broken) -> None:
    texts = ["A = 1\n", "A = 2\n", "A = 3\n"]
    texts[broken] = "A = (\n"
    with pytest.raises(Unparsable, match="line 1"):
        merge(*texts)


def test_a_file_without_final_newline_is_completed() -> None:
    assert merge("A = 1\nB = 2", "A = 9\nB = 2", "A = 1\nB = 2\nC = 3").text == "A = 9\nB = 2\nC = 3\n"


def test_an_edited_statement_is_recognised_by_its_words_where_keys_are_equal() -> None:
    base = "if a > 1:\n    first()\nif b > 2:\n    second()\n"
    ours = "if b > 3:\n    second()\n"
    theirs = base.replace("second()", "second(4)")
    assert merge(base, ours, theirs) == ("if b > 3:\n    second(4)\n", ())
