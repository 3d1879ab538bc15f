"""Reads idea, hypothesis and expected effect from a reply's prose: lines, headings, bold text or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_IDEA = 200  # characters: it becomes the subject line of a commit
LONGEST_TEXT = 600

_LABEL = re.compile(
    r"^\s*(?:[-*•]\s+|\d+[.)]\s+)?(?:#{1,6}\s*)?(?:\*\*|__)?\s*"
    r"(idea|hypothesis|expected(?:\s+(?:effect|gain|sign(?:\s+and\s+size)?|change|result))?)"
    r"\s*(?:\*\*|__)?\s*(?:[:—–-]|$)\s*(?:\*\*|__)?\s*(.*)$",  # noqa: RUF001 - models write these dashes
    re.IGNORECASE,
)
_HEADING = re.compile(r"^\s*(?:#{1,6}\s|(?:\*\*|__)[^*_]+(?:\*\*|__)\s*:?\s*$)")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'`(\[])")


@dataclass(frozen=True)
class Notes:
    """What a reply says about its edit; an empty string for what it does not say."""

    idea: str = ""
    hypothesis: str = ""
    expected: str = ""


def read_notes(prose: Sequence[str]) -> Notes:
    """From the lines of a reply that are not its edit; without an 'Idea', its first sentence is the idea."""
    texts: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in prose:
        match = _LABEL.match(line)
        if match:
            current = texts.setdefault(match.group(1).split()[0].lower(), [])
            if match.group(2):
                current.append(match.group(2))
        elif not line.strip():
            if current:  # a paragraph has ended; below a bare heading it has not begun
                current = None
        elif _HEADING.match(line):
            current = None
        elif current is not None:
            current.append(line)
    first = next((line for line in prose if line.strip() and not _HEADING.match(line)), "")
    found = {name: " ".join(lines) for name, lines in texts.items()}
    return _notes(found.get("idea") or first, found.get("hypothesis", ""), found.get("expected", ""))


def notes_of(record: dict[str, Any]) -> Notes:
    """From a JSON object with the keys idea, hypothesis, expected (or expected_...), in any case."""
    known = {
        str(key).lower().split("_")[0]: value for key, value in record.items() if isinstance(value, str | float | int)
    }
    return _notes(*(str(known.get(name, "")) for name in ("idea", "hypothesis", "expected")))


def read_object(text: str) -> dict[str, Any] | None:
    """The JSON object that `text` starts with; None where it does not. Line feeds in strings are allowed."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(text.lstrip())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _notes(idea: str, hypothesis: str, expected: str) -> Notes:
    sentence = _SENTENCE_END.split(_clean(idea))[0]
    return Notes(
        _cap(sentence, LONGEST_IDEA), _cap(_clean(hypothesis), LONGEST_TEXT), _cap(_clean(expected), LONGEST_TEXT)
    )


def _clean(text: str) -> str:
    """One line of printable characters, without Markdown's emphasis around all of it."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split()).strip("*_ ").strip()


def _cap(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3].rsplit(" ", 1)[0].rstrip(",;:") + "..."
