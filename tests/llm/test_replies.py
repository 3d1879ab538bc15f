"""Every shape of reply that models send: what is read, and what is refused and why."""

import json

import pytest

from evolve.llm.edits import Blocks, UnifiedDiff, WholeFile
from evolve.llm.replies import Kind, ReplyRejected, apply, join_continuation, read_lines, read_reply

PARENT = '''"""A toy genome."""

import gpt

maxval = 10
xval = 10
LR = 0.02  # range: 0.005..0.08 log


def build_model(run):
    layers = []
    for _ in range(4):
        layers.append(1)
    return layers


def main():
    run = gpt.start()
    for x, y in run.batches(8):
        run.log(0.0)
    for x, y in run.batches(8):
        run.log(1.0)


if __name__ == "__main__":
    main()
'''
CHILD = PARENT.replace("LR = 0.02 ", "LR = 0.03 ")
OLD = "LR = 0.02  # range: 0.005..0.08 log"
NEW = "LR = 0.03  # range: 0.005..0.08 log"
BLOCK = f"<<<<<<< SEARCH\n{OLD}\n=======\n{NEW}\n>>>>>>> REPLACE\n"
NOTES = "Idea: Raise the rate.\nHypothesis: It is too low.\nExpected: -0.01 BPB\n\n"
DIFF = f"--- a/train.py\n+++ b/train.py\n@@ -5,5 +5,5 @@\n maxval = 10\n xval = 10\n-{OLD}\n+{NEW}\n \n \n"


def block(search: str, replace: str) -> str:
    return f"<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"


def child_of(text: str, parent: str = PARENT, finish_reason: str | None = None) -> str:
    return apply(read_reply(text, finish_reason).edit, parent)


def rejection(text: str, parent: str = PARENT, finish_reason: str | None = None) -> ReplyRejected:
    with pytest.raises(ReplyRejected) as caught:
        child_of(text, parent, finish_reason)
    return caught.value


LOOP = "    for x, y in run.batches(8):"
BUILD = "def build_model(run):\n    layers = []\n    for _ in range(4):\n        layers.append(1)\n    return layers\n"

SHAPES = {
    "bare block": BLOCK,
    "notes and block": NOTES + BLOCK,
    "python fence": f"{NOTES}```python\n{BLOCK}```\nThat is all.",
    "diff fence around a block": f"{NOTES}```diff\n{BLOCK}```",
    "four back-ticks": f"{NOTES}````python\n{BLOCK}````",
    "tildes": f"~~~\n{BLOCK}~~~",
    "file name above": f"train.py\n```\n{BLOCK}```",
    "file name in the marker": BLOCK.replace("SEARCH", "SEARCH train.py"),
    "six marks": "<<<<<< SEARCH\n" + OLD + "\n======\n" + NEW + "\n>>>>>> REPLACE",
    "lower case": BLOCK.lower().replace("lr", "LR"),
    "fences inside of the sides": block(f"```python\n{OLD}\n```\n", f"```python\n{NEW}\n```\n"),
    "indented with its markers": "\n".join("   " + line for line in BLOCK.splitlines()),
    "trailing white space": block(f"{OLD}   \n", f"{NEW}\n"),
    "blank line before": block(f"\n{OLD}\n", f"\n{NEW}\n"),
    "carriage returns": (NOTES + BLOCK).replace("\n", "\r\n"),
    "thinking before": "<think>\nmaybe\n<<<<<<< SEARCH\nwrong\n</think>\n" + BLOCK,
    "thinking without its opening tag": "hmm <<<\n</think>\n\n" + BLOCK,
    "the same block twice": BLOCK + BLOCK,
    "a block of nothing beside": block("xval = 10\n", "xval = 10\n") + BLOCK,
    "unclosed fence after a whole block": f"```python\n{BLOCK}",
    "apology before a block": "I'm sorry for the mistake before.\n" + BLOCK,
    "context that reaches into the line of another": (
        block(f"xval = 10\n{OLD}\n", f"xval = 10\n{NEW}\n") + block(f"{OLD}\n\n", f"{OLD}\n\n")
    ),
    "json with a list": json.dumps({"idea": "Raise.", "edit": [{"search": OLD, "replace": NEW}]}),
    "json with text": json.dumps({"idea": "Raise.", "edit": BLOCK}),
    "json in a fence, block outside": '```json\n{"idea": "Raise the rate."}\n```\n' + BLOCK,
    "json at the top, block below": '{"idea": "Raise the rate."}\n' + BLOCK,
    "diff": NOTES + f"```diff\n{DIFF}```",
    "bare diff": NOTES + DIFF,
    "diff without headers": f"```diff\n xval = 10\n-{OLD}\n+{NEW}\n```",
    "diff with a bare @@": f"```diff\n@@\n xval = 10\n-{OLD}\n+{NEW}\n```",
    "diff with dots": f"```diff\n@@ ... @@\n-{OLD}\n+{NEW}\n```",
    "diff with wrong numbers": "```diff\n" + DIFF.replace("@@ -5,5 +5,5 @@", "@@ -90,2 +91,9 @@") + "```",
    "diff with wrong outer context": f"```diff\n@@ -1,3 +1,3 @@\n nothing = 1\n xval = 10\n-{OLD}\n+{NEW}\n```",
    "diff with git's headers": f"```diff\ndiff --git a/train.py b/train.py\nindex 1234..5678 100644\n{DIFF}```",
    "whole file": f"{NOTES}```python\n{CHILD}```",
    "whole file, four back-ticks": f"{NOTES}````python\n{CHILD}````",
    "whole file beside a snippet": f"Change\n```python\nLR = 0.03\n```\n so:\n```python\n{CHILD}```",
    "whole file, bare": CHILD,
    "whole file in json": json.dumps({"idea": "Raise.", "code": CHILD}),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_the_shape_becomes_the_intended_child(shape: str) -> None:
    assert child_of(SHAPES[shape]) == CHILD


REFUSED = {
    "nothing": ("", Kind.EMPTY),
    "white space": (" \n\n", Kind.EMPTY),
    "only thinking": ("<think>well, let me see", Kind.TRUNCATED),
    "prose": ("I would raise the rate.", Kind.NO_EDIT),
    "refusal": ("I'm sorry, but I can't help with that.", Kind.REFUSAL),
    "no divider": (f"<<<<<<< SEARCH\n{OLD}\n>>>>>>> REPLACE", Kind.MALFORMED_BLOCK),
    "two dividers": (f"<<<<<<< SEARCH\n{OLD}\n=======\n=======\n{NEW}\n>>>>>>> REPLACE", Kind.MALFORMED_BLOCK),
    "another header": (BLOCK.replace("SEARCH", "ORIGINAL"), Kind.MALFORMED_BLOCK),
    "a good block and a bad header": (BLOCK + "<<<<<<< SEERCH\nxval = 10\n=======\n", Kind.MALFORMED_BLOCK),
    "an end without a block": (BLOCK + ">>>>>>> REPLACE", Kind.MALFORMED_BLOCK),
    "block in a block": (f"<<<<<<< SEARCH\n{OLD}\n=======\n" + BLOCK, Kind.MALFORMED_BLOCK),
    "closed fence, no end": (f"```\n<<<<<<< SEARCH\n{OLD}\n=======\n{NEW}\n```", Kind.MALFORMED_BLOCK),
    "unfinished block": (f"<<<<<<< SEARCH\n{OLD}\n=======\nLR = 0.0", Kind.TRUNCATED),
    "unfinished second block": (BLOCK + "<<<<<<< SEARCH\nxval", Kind.TRUNCATED),
    "unfinished whole file": (f"```python\n{CHILD[:300]}", Kind.TRUNCATED),
    "unfinished diff": (f"```diff\n{DIFF}", Kind.TRUNCATED),
    "part of a line": (block("val = 10\n", "val = 11\n"), Kind.NOT_FOUND),
    "a line of another file": (block("dropout = 0.1\n", "dropout = 0.2\n"), Kind.NOT_FOUND),
    "found twice": (block("    for x, y in run.batches(8):\n", "    for x, y in run.batches(9):\n"), Kind.AMBIGUOUS),
    "empty search": (block("", "import math\n"), Kind.EMPTY_SEARCH),
    "blank search": (block("\n\n", "import math\n"), Kind.EMPTY_SEARCH),
    "overlap": (block(f"{OLD}\n", "LR = 1\n") + block(f"xval = 10\n{OLD}\n", "xval = 9\nLR = 2\n"), Kind.OVERLAPPING),
    "no change": (block(f"{OLD}\n", f"{OLD}\n"), Kind.NO_OP),
    "only trailing white space": (block(f"{OLD}\n", f"{OLD}  \n"), Kind.NO_OP),
    "diff of nothing": ("```diff\n--- a/t.py\n+++ b/t.py\n@@ -1 +1 @@\n import gpt\n```", Kind.NO_OP),
    "empty diff": ("```diff\n```", Kind.NO_OP),
    "the parent again": (f"```python\n{PARENT}```", Kind.NO_OP),
    "a snippet": ("```python\nLR = 0.03\n```", Kind.FRAGMENT),
    "half of the file": (f"```python\n{CHILD[: CHILD.index('def main')]}```", Kind.FRAGMENT),
    "left out": (f"```python\n{CHILD.replace('    layers = []', '    # ... rest of the code')}```", Kind.ELIDED),
    "left out in a block": (block(BUILD, "def build_model(run):\n    # existing code\n    return [1]\n"), Kind.ELIDED),
    "not Python": (block(f"{OLD}\n", "LR = = 3\n"), Kind.UNPARSABLE),
    "several files": (f"```diff\n{DIFF}{DIFF.replace('train.py', 'other.py')}```", Kind.SEVERAL_FILES),
    "diff with a stray line": (f"```diff\n@@ -5 +5 @@\nxval = 10\n-{OLD}\n+{NEW}\n```", Kind.MALFORMED_DIFF),
    "diff at an ambiguous place": (f"@@ -17 +17 @@\n-{LOOP}\n+{LOOP.replace('8', '9')}\n", Kind.AMBIGUOUS),
}  # fmt: skip


@pytest.mark.parametrize("shape", REFUSED)
def test_the_shape_is_refused_for_its_reason(shape: str) -> None:
    text, kind = REFUSED[shape]
    refused = rejection(text)
    assert refused.kind is kind
    assert refused.reason.endswith(".")


def test_every_kind_has_a_case() -> None:
    of_the_search = {Kind.REPEATED, Kind.DOES_NOT_RUN, Kind.STALE, Kind.UNUSED, Kind.UNWRITTEN}  # in test_writer
    assert {kind for _, kind in REFUSED.values()} == set(Kind) - of_the_search


def test_a_part_of_a_line_is_never_hit() -> None:
    parent = "maxval = 100\nxval = 10\n"
    assert child_of(block("xval = 10\n", "xval = 20\n"), parent) == "maxval = 100\nxval = 20\n"
    assert rejection(block("xval = 10\n", "xval = 20\n"), "maxval = 100\n").kind is Kind.NOT_FOUND


def test_an_ambiguous_search_is_told_its_places() -> None:
    refused = rejection(block("        run.log(0.0)\n", "        run.log(2.0)\n"), PARENT.replace("1.0", "0.0"))
    assert refused.kind is Kind.AMBIGUOUS
    assert "lines 20, 22" in refused.reason


def test_an_exact_match_is_preferred_to_one_of_another_indentation() -> None:
    parent = "x = 1\nif x:\n    x = 1\n"
    assert child_of(block("    x = 1\n", "    x = 2\n"), parent) == "x = 1\nif x:\n    x = 2\n"


def test_a_block_of_wrong_indentation_takes_that_of_its_place() -> None:
    search = "layers = []\nfor _ in range(4):\n    layers.append(1)\n"
    new = "layers = []\nfor _ in range(4):\n    if True:\n        layers.append(2)\n"
    expected = PARENT.replace("        layers.append(1)", "        if True:\n            layers.append(2)")
    assert child_of(block(search, new)) == expected


def test_another_width_of_indentation_is_mapped() -> None:
    search = "def build_model(run):\n  layers = []\n  for _ in range(4):\n    layers.append(1)\n"
    new = "def build_model(run):\n  layers = []\n  for _ in range(4):\n    if True:\n      layers.append(2)\n"
    expected = PARENT.replace("        layers.append(1)", "        if True:\n            layers.append(2)")
    assert child_of(block(search, new)) == expected


def test_lost_indentation_is_refused_because_it_cannot_be_restored() -> None:
    flat = "for _ in range(4):\nlayers.append(1)\n"
    assert rejection(block(flat, flat.replace("4", "5"))).kind is Kind.NOT_FOUND


def test_blocks_are_read_against_the_parent() -> None:
    two = block("xval = 10\n", "maxval = 10\n") + block("maxval = 10\n", "maxval = 11\n")
    assert child_of(two) == PARENT.replace("maxval = 10\nxval = 10\n", "maxval = 11\nmaxval = 10\n")
    later = block("xval = 10\n", "xval = 11\n") + block("xval = 11\n", "xval = 12\n")
    assert rejection(later).kind is Kind.NOT_FOUND


def test_a_block_without_replacement_deletes() -> None:
    assert child_of(block("xval = 10\n", "")) == PARENT.replace("\nxval = 10", "")


def test_an_empty_search_fills_an_empty_file() -> None:
    assert child_of(block("", "import math\n"), "") == "import math\n"


def test_the_parents_line_ends_are_kept() -> None:
    assert child_of(BLOCK, PARENT.replace("\n", "\r\n")) == CHILD.replace("\n", "\r\n")
    assert child_of(f"```diff\n{DIFF}```", PARENT.replace("\n", "\r\n")) == CHILD.replace("\n", "\r\n")


def test_a_fence_inside_of_the_genome_does_not_end_it() -> None:
    parent = PARENT.replace("A toy genome.", "Usage:\n\n```\npython train.py\n```\n")
    child = parent.replace("LR = 0.02 ", "LR = 0.03 ")
    assert child_of(f"{NOTES}```python\n{child}```", parent) == child
    assert child_of(f"{NOTES}````python\n{child}````", parent) == child


def test_true_line_numbers_find_one_of_two_equal_places() -> None:
    hunk = "@@ -21,2 +21,2 @@\n     for x, y in run.batches(8):\n-{}\n+{}\n"
    parent = PARENT.replace("1.0", "0.0")
    text = "```diff\n" + hunk.format("        run.log(0.0)", "        run.log(2.0)") + "```"
    assert child_of(text, parent) == PARENT.replace("1.0", "2.0")
    assert rejection(text.replace("21,2 @@", "21,7 @@"), parent).kind is Kind.AMBIGUOUS


def test_a_limit_of_tokens_is_a_truncation_even_after_a_whole_block() -> None:
    assert rejection(BLOCK, finish_reason="length").kind is Kind.TRUNCATED
    assert rejection(BLOCK, finish_reason="content_filter").kind is Kind.REFUSAL
    assert child_of(BLOCK, finish_reason="stop") == CHILD


@pytest.mark.parametrize(
    "prose",
    [
        NOTES,
        "**Idea:** Raise the rate.\n**Hypothesis**: It is too low.\n- **Expected effect:** -0.01 BPB\n\n",
        "## Idea\nRaise the rate.\n\n## Hypothesis\n\nIt is\ntoo low.\n\n### Expected sign and size\n-0.01 BPB\n\n",
        "1. Idea: Raise the rate. And more besides.\n2. Hypothesis: It is too low.\n3. Expected: -0.01 BPB\n",
        '```json\n{"Idea": "Raise the rate.", "hypothesis": "It is too low.", "expected_effect": "-0.01 BPB"}\n```\n',
    ],
)
def test_notes_are_read_in_any_dress(prose: str) -> None:
    reply = read_reply(prose + BLOCK)
    assert reply.idea == "Raise the rate."
    assert reply.hypothesis == "It is too low."
    assert reply.expected == "-0.01 BPB"


def test_without_an_idea_the_first_sentence_is_one() -> None:
    reply = read_reply("# Plan\n\nWe raise the rate, e.g. by half. Then we look.\n" + BLOCK)
    assert (reply.idea, reply.hypothesis) == ("We raise the rate, e.g. by half.", "")
    assert read_reply(BLOCK).idea == ""


def test_an_idea_is_one_printable_line_of_bounded_length() -> None:
    idea = read_reply("Idea: " + "very\x00long\t" * 100 + "\n" + BLOCK).idea
    assert len(idea) <= 200
    assert idea.isprintable()
    assert idea.endswith("...")


def test_kinds_of_edit() -> None:
    assert isinstance(read_reply(BLOCK).edit, Blocks)
    assert isinstance(read_reply(DIFF).edit, UnifiedDiff)
    assert isinstance(read_reply(CHILD).edit, WholeFile)


def test_a_diff_is_not_taken_to_be_longer_than_it_is() -> None:
    assert child_of(DIFF + "\nThis should help.\n") == CHILD


@pytest.mark.parametrize("cut", range(20, len(NOTES + BLOCK), 3))
@pytest.mark.parametrize("repeated", [0, 1, 2])
def test_a_continued_reply_is_whole(cut: int, repeated: int) -> None:
    """Whether it goes on at the cut, or repeats the unfinished line, or one more."""
    text = NOTES + BLOCK
    start = cut
    for _ in range(repeated):
        start = text.rfind("\n", 0, max(0, start - 1)) + 1
    if cut - start == 1 and text[start].isalnum():
        start = cut  # too short to be known for a repetition
    assert join_continuation(text[:cut], text[start:]) == text


def test_dress_of_a_continuation_is_dropped() -> None:
    text = f"{NOTES}```python\n{CHILD}```"
    cut = text.index("        layers.append")
    for second in (text[cut:], "```python\n" + text[cut:], "<think>so</think>Continuing:\n\n" + text[cut:], text):
        assert child_of(join_continuation(text[:cut], second)) == CHILD


def test_a_conflicts_lines_are_read() -> None:
    assert read_lines("Idea: Both.\n```python\n    a = 1\n    b = 2\n```\n") == ("Both.", "    a = 1\n    b = 2\n")
    assert read_lines("```\n```") == ("", "")  # both sides may be right to delete
    for text, kind in (
        ("a = 1", Kind.NO_EDIT),
        ("```python\na = 1", Kind.TRUNCATED),
        ("```\na\n```\n```\nb\n```", Kind.AMBIGUOUS),
    ):
        with pytest.raises(ReplyRejected) as caught:
            read_lines(text)
        assert caught.value.kind is kind
