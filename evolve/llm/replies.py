"""Reads a model's reply into an idea and an edit, or says exactly why it cannot be one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evolve.llm.blocks import has_blocks, read_blocks
from evolve.llm.diffs import read_diff
from evolve.llm.edits import Block, Blocks, Edit, WholeFile, apply
from evolve.llm.ideas import Notes, notes_of, read_notes, read_object
from evolve.llm.markdown import fences
from evolve.llm.rejection import Kind, ReplyRejected
from evolve.variation.source import parse_alone

__all__ = ["Kind", "Reply", "ReplyRejected", "apply", "join_continuation", "read_lines", "read_reply"]

CODE = ("", "python", "py", "python3", "python2", "text", "txt", "code")  # languages of a fence around a whole file
EDIT_KEYS = ("edit", "edits", "blocks", "diff", "patch", "changes", "code", "file", "content")
LONGEST_OVERLAP = 4000
SHORTEST_OVERLAP = 16  # characters: a continuation may begin inside of a line, and less than this may be chance

_THOUGHT = re.compile(r"^\s*<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_UNFINISHED_THOUGHT = re.compile(r"^\s*<(think|thinking|reasoning)>", re.IGNORECASE)
_END_OF_THOUGHT = re.compile(
    r"\A.*?^[ \t]*</(?:think|thinking|reasoning)>[ \t]*$", re.DOTALL | re.IGNORECASE | re.MULTILINE
)
_REFUSAL = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able)|i (?:can(?:no|')t|won't|will not|must decline)|"
    r"as an ai\b|i apologi[sz]e)",
    re.IGNORECASE,
)
_WHOLE_MARK = re.compile(r"<{7}|={7}|>{7}|`{3}")
_PREFACE = re.compile(r"^\s*(?:continu\w*|here (?:is|are)|sure|certainly|okay|ok)\b[^\n]*[:.!…]\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Reply:
    """What a model proposes. Any of the texts is empty where the reply does not say it."""

    idea: str  # one sentence, at most 200 characters
    hypothesis: str
    expected: str  # sign and size of the effect, in the model's words
    edit: Edit


def read_reply(text: str, finish_reason: str | None = None) -> Reply:
    """The idea and the edit in `text`; `finish_reason` as the endpoint gave it.

    Looked for in this order: a JSON object with the edit in it, SEARCH/REPLACE blocks, a unified diff, the
    longest fence of code as a whole file, the bare text as a whole file. Thinking is dropped first.

    Raises ReplyRejected and nothing else, whatever the text.
    """
    text = _answer(text, finish_reason)
    lines = text.split("\n")
    notes, edit = _read_json(text, lines)
    if edit is None:
        edit, taken = _read_edit(lines)
        if notes is None or not notes.idea:
            notes = read_notes([line for i, line in enumerate(lines) if i not in taken])
    if edit is None:
        raise _nothing(text, lines)
    notes = notes or Notes()
    return Reply(notes.idea, notes.hypothesis, notes.expected, edit)


def read_lines(text: str, finish_reason: str | None = None) -> tuple[str, str]:
    """The idea and the one fence of code in a reply that resolves a conflict; the code ends in a line feed.

    Raises ReplyRejected and nothing else, whatever the text.
    """
    text = _answer(text, finish_reason)
    lines = text.split("\n")
    found = fences(lines)
    code = [fence for fence in found if fence.language in CODE]
    if any(not fence.closed for fence in found) or not code:
        raise _nothing(text, lines)
    if len(code) > 1:
        raise ReplyRejected(Kind.AMBIGUOUS, f"the reply holds {len(code)} fences of code instead of one.")
    prose = [*lines[: code[0].start], *lines[code[0].end :]]
    return read_notes(prose).idea, "".join(line + "\n" for line in code[0].lines)


def _answer(text: str, finish_reason: str | None) -> str:
    """The text in line feeds, without thinking; refused where it is not a whole answer."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if finish_reason == "content_filter":
        raise ReplyRejected(Kind.REFUSAL, "the provider's filter stopped the reply.")
    thoughtless = _without_thoughts(text)
    if finish_reason == "length":
        raise ReplyRejected(Kind.TRUNCATED, "the reply reached its limit of tokens.")
    if not thoughtless.strip():
        if text.strip():
            raise ReplyRejected(Kind.TRUNCATED, "the reply ends with its thinking, before any answer.")
        raise ReplyRejected(Kind.EMPTY, "the reply has no text.")
    return thoughtless


def _without_thoughts(text: str) -> str:
    while match := _THOUGHT.match(text):
        text = text[match.end() :]
    if _UNFINISHED_THOUGHT.match(text):
        return ""
    # Some chat templates put the opening tag into the prompt, so that only the closing one is in the reply.
    return _END_OF_THOUGHT.sub("", text, count=1)


def _read_json(text: str, lines: Sequence[str]) -> tuple[Notes | None, Edit | None]:
    candidates = [text] + ["\n".join(f.lines) for f in fences(lines) if f.language in ("", "json", "json5")]
    for candidate in candidates:
        record = read_object(candidate)
        if record is not None:
            return notes_of(record), _edit_of(record)
    return None, None


def _edit_of(record: dict[str, Any]) -> Edit | None:
    for value in (record, *(record[key] for key in EDIT_KEYS if key in record)):
        pairs = value if isinstance(value, list) else [value]
        blocks = [_block_of(pair) for pair in pairs]
        if blocks and all(blocks):
            return Blocks(tuple(block for block in blocks if block))
        if isinstance(value, str):
            lines = value.replace("\r\n", "\n").split("\n")
            return _read_edit(lines)[0] or WholeFile("\n".join(lines))
    return None


def _block_of(pair: object) -> Block | None:
    if not isinstance(pair, dict):
        return None
    low = {str(key).lower(): value for key, value in pair.items()}
    search, replace = low.get("search"), low.get("replace")
    if not isinstance(search, str) or not isinstance(replace, str):
        return None
    return Block(_block_lines(search), _block_lines(replace))


def _block_lines(text: str) -> tuple[str, ...]:
    return tuple(text.replace("\r\n", "\n").removesuffix("\n").split("\n")) if text else ()


def _read_edit(lines: Sequence[str]) -> tuple[Edit | None, set[int]]:
    """The edit and the numbers of the lines that are not prose."""
    fenced = {i for fence in fences(lines) for i in range(fence.start, fence.end)}
    if has_blocks(lines):
        blocks, taken = read_blocks(lines)
        return blocks, taken | (fenced if all(f.closed for f in fences(lines)) else set())
    diff = read_diff(lines)
    if diff is not None:
        return diff[0], diff[1] | fenced
    return _read_whole(lines), fenced


def _read_whole(lines: Sequence[str]) -> WholeFile | None:
    found = fences(lines)
    code = [fence for fence in found if fence.language in CODE and any(line.strip() for line in fence.lines)]
    if not code:
        bare = "\n".join(lines)
        return WholeFile(bare) if not found and _is_program(bare) else None
    longest = max(code, key=lambda fence: len(fence.lines))
    text = "\n".join(longest.lines)
    if found[-1].closed:
        # A fence inside of a string of the genome closes the outer one too early: then the last mark is the end.
        outer = "\n".join(lines[code[0].start + 1 : found[-1].end - 1])
        return WholeFile(outer if not _parses(text) and _parses(outer) else text)
    if longest.closed and _parses(text):
        return WholeFile(text)
    raise ReplyRejected(Kind.TRUNCATED, f"the fence at line {found[-1].start + 1} of the reply has no end.")


def _is_program(text: str) -> bool:
    return bool(re.search(r"^(?:import|from|def|class) ", text, re.MULTILINE)) and _parses(text)


def _parses(text: str) -> bool:
    try:
        parse_alone(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _nothing(text: str, lines: Sequence[str]) -> ReplyRejected:
    if any(not fence.closed for fence in fences(lines)):
        return ReplyRejected(Kind.TRUNCATED, "the reply ends inside of a fence.")
    if _REFUSAL.search(text):
        return ReplyRejected(Kind.REFUSAL, "the model declined.")
    return ReplyRejected(Kind.NO_EDIT, "the reply holds neither SEARCH/REPLACE blocks, nor a diff, nor the whole file.")


def join_continuation(first: str, second: str) -> str:
    """A truncated reply and what the model sent when asked to go on, as one text.

    Dropped from `second`: thinking, a line of preface, a fence opened anew while that of `first` is open,
    and what it repeats of the end of `first` (from the start of a line, or 16 characters). Where it begins the answer
    anew, it stands alone.
    """
    first, second = first.replace("\r\n", "\n"), _without_thoughts(second.replace("\r\n", "\n"))
    first = _without_thoughts(first)
    opening = next((line for line in first.split("\n") if line.strip()), "")
    if len(opening) >= SHORTEST_OVERLAP and second.lstrip().startswith(opening):
        return second
    head, _, rest = second.partition("\n")
    if rest and _PREFACE.match(head):
        head, _, rest = rest.lstrip("\n").partition("\n")
        second = f"{head}\n{rest}"
    opened = [fence for fence in fences(first.split("\n")) if not fence.closed]
    if opened and re.match(r"^\s*(?:`{3,}|~{3,})\w+\s*$", head):
        second = rest
    return first + second[_overlap(first, second) :]


def _overlap(first: str, second: str) -> int:
    """How many characters at the start of `second` repeat the end of `first`."""
    for size in range(min(len(first), len(second), LONGEST_OVERLAP), 0, -1):
        repeated = second[:size]
        if not first.endswith(repeated) or (not repeated.strip() and "\n" in repeated):
            continue
        starts_line = size == len(first) or first[-size - 1] == "\n"
        # The start of a line told again: its indentation, a word of it, or a marker, whole in `second`.
        word = size > 1 and any(char.isalnum() for char in repeated)
        told = repeated[0].isspace() or word or _WHOLE_MARK.match(second)
        if size >= SHORTEST_OVERLAP or (starts_line and told):
            return size
    return 0
