"""Laws of reading: an edit made from (parent, child) gives the child, and nothing but ReplyRejected is raised."""

import difflib

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from evolve.llm.replies import ReplyRejected, apply, join_continuation, read_reply

LAW = settings(deadline=None, derandomize=True)  # the machine may be busy
STATEMENTS = st.sampled_from(
    [
        "x = 1",
        "x = 2",
        "maxval = 1",
        "if x:\n    x = 3",
        "",
        "y = '```'",
        "def f(a):\n    return a",
        "x = [\n    1,\n]",
        "# note",
    ]
)


@st.composite
def families(draw: st.DrawFn) -> tuple[str, str]:
    """A parent with many repeated lines, and a child some statements away from it."""
    parent = draw(st.lists(STATEMENTS, min_size=1, max_size=25))
    child = list(parent)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(child)))
        child[at : at + draw(st.integers(0, 2))] = draw(st.lists(STATEMENTS, max_size=2))
    texts = ["\n".join([*statements, "end = 0", ""]) for statements in (parent, child)]
    assume(texts[0].split() != texts[1].split())
    return texts[0], texts[1]


def as_blocks(parent: str, child: str) -> str:
    """One block for each difference, with as much context as makes it unique; one for all where that overlaps."""
    old, new = parent.splitlines(), child.splitlines()
    blocks = []
    end = 0
    for tag, a1, a2, b1, b2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        more = 0
        while True:
            low, high = max(0, a1 - more), min(len(old), a2 + more)
            search = old[low:high]
            places = sum(old[i : i + len(search)] == search for i in range(len(old) - len(search) + 1))
            if any(line.strip() for line in search) and places == 1:
                break
            more += 1
        if low < end:
            return block(old, new)
        end = high
        blocks.append(block(search, old[low:a1] + new[b1:b2] + old[a2:high]))
    return "Some words.\n" + "".join(blocks)


def block(search: list[str], replace: list[str]) -> str:
    return "\n".join(["<<<<<<< SEARCH", *search, "=======", *replace, ">>>>>>> REPLACE", ""])


@LAW
@given(families())
def test_blocks_give_the_child(family: tuple[str, str]) -> None:
    parent, child = family
    assert apply(read_reply(as_blocks(parent, child)).edit, parent) == child


@LAW
@given(families(), st.integers(0, 4))
def test_a_unified_diff_gives_the_child_or_says_that_it_is_ambiguous(family: tuple[str, str], context: int) -> None:
    parent, child = family
    lines = difflib.unified_diff(parent.splitlines(), child.splitlines(), "a/t.py", "b/t.py", n=context, lineterm="")
    text = "```diff\n" + "\n".join(lines) + "\n```"
    if context == 0:  # insertions without context say nothing of their place but a number
        try:
            assert apply(read_reply(text).edit, parent) == child
        except ReplyRejected:
            return
    else:
        assert apply(read_reply(text).edit, parent) == child


@LAW
@given(families(), st.integers(0, 3), st.integers(1, 99))
def test_a_diff_of_wrong_numbers_gives_the_child_or_nothing(family: tuple[str, str], context: int, shift: int) -> None:
    parent, child = family
    lines = list(difflib.unified_diff(parent.splitlines(), child.splitlines(), n=context, lineterm=""))
    wrong = [f"@@ -{shift},77 +{shift},78 @@" if line.startswith("@@") else line for line in lines]
    try:
        result = apply(read_reply("\n".join(wrong) + "\n").edit, parent)
    except ReplyRejected:
        return
    assert result == child


@LAW
@given(families())
def test_a_whole_file_gives_the_child(family: tuple[str, str]) -> None:
    parent, child = family
    kept = set(parent.split("\n")) & set(child.split("\n"))
    assume(sum(line in kept for line in parent.split("\n")) > 0.8 * len(parent.split("\n")))
    assume(len(child) > 0.6 * len(parent))
    assert apply(read_reply(f"Idea: x.\n```python\n{child}```\n").edit, parent) == child


MARKERS = [
    "<<<<<<< SEARCH\n",
    "=======\n",
    ">>>>>>> REPLACE\n",
    "```python\n",
    "```\n",
    "````\n",
    "~~~",
    "@@ -1 +1 @@\n",
]
LINES = ["x = 1\n", "--- a\n+++ b\n", "-x = 1\n", "+x = 2\n", " x = 1\n", "Idea: ", "I'm sorry", "**Idea**", "# Idea\n"]
OTHERS = [
    "<think>",
    "</think>\n",
    '{"edit": ',
    "[",
    "}",
    '"',
    "\r\n",
    "\\\n",
    "\ufeff",
    "\x00",
    "\ud800",
    "\x0c",
    "\u2028",
]
PIECES = st.sampled_from([*MARKERS, *LINES, *OTHERS])
TEXTS = st.one_of(st.text(), st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=25).map("".join))


@settings(LAW, max_examples=400)
@given(TEXTS, st.sampled_from(["", "x = 1\n", "x = 1\ny = 2\nx = 1", "\r\n", "if a:\n\tb = 1\r\n"]))
@example("[" * 100_000, "x = 1\n")
@example('{"edit": ' + "[" * 100_000, "x = 1\n")
@example("```python\n" + "(" * 10_000 + "x = 1\n```", "x = 1\n")
@example('{"idea": ' + "9" * 5000 + "}", "x = 1\n")
def test_any_text_is_a_reply_or_is_rejected(text: str, parent: str) -> None:
    try:
        child = apply(read_reply(text).edit, parent)
    except ReplyRejected as refused:
        assert str(refused.kind) in str(refused)
    else:
        assert child.rstrip() != parent.rstrip()


@LAW
@given(TEXTS, TEXTS)
def test_any_two_texts_can_be_joined(first: str, second: str) -> None:
    assert isinstance(join_continuation(first, second), str)


@LAW
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_xval_is_never_found_in_maxval(old: int, new: int) -> None:
    """The fault seen in peers: SEARCH as a part of a line."""
    parent = f"maxval = {old}0\n  # xval = {old}\nnot_xval = {old}\n"
    text = block([f"xval = {old}"], [f"xval = {new}"])
    try:
        child = apply(read_reply(text).edit, parent)
    except ReplyRejected:
        return
    raise AssertionError(child)
