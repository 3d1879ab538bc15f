"""Prompts from Markdown files with named slots, filled within a bound on their size."""

from __future__ import annotations

import difflib
import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evolve.errors import UserError
from evolve.llm.tokens import estimate

BUILT_IN = Path(__file__).parent / "prompts"
MAX_TOKENS = 12_000  # of a prompt for a genome of 25 KB

_SLOT = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_HEADING = re.compile(r"^#{1,6} ", re.MULTILINE)


@dataclass(frozen=True)
class Slots:
    """What a prompt's file must hold, and may hold."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


PROMPTS = {
    "system": Slots(("task", "contract"), ("program",)),
    "mutate": Slots(("source", "intent"), ("outcome", "lineage", "tried", "elites")),
    "tune": Slots(),
    "structure": Slots(),
    "simplify": Slots(),
    "radical": Slots(),
    "fix": Slots(),
    "conflict": Slots(
        ("base", "first", "second"), ("first_idea", "second_idea", "first_gain", "second_gain", "surroundings")
    ),
    "repair": Slots(("error", "against"), ("child",)),
    "continue": Slots(("tail",)),
    "agent": Slots(("script",), ("individual", "minutes")),
    "outside": Slots(("command",), ("individual", "script", "ticket", "valid")),
}
INTENTS = ("tune", "structure", "simplify", "radical", "fix")


@dataclass(frozen=True)
class Section:
    """What fills a slot: items, the most important first, and how much they matter beside other sections.

    Items are left out from the end, whole, and of the least important section first. Those of a section without
    an importance are never left out. `newest_last`: the items are shown in reverse, for what is told in order of time.
    """

    items: tuple[str, ...]
    importance: int | None = None
    newest_last: bool = False

    def text(self, kept: int) -> str:
        shown = list(self.items[:kept])
        left_out = len(self.items) - kept
        note = [f"({left_out} more left out)"] if left_out and shown else []
        return "\n\n".join([*note, *reversed(shown)] if self.newest_last else [*shown, *note])


class PromptTooLong(Exception):  # noqa: N818 - named like the condition that the caller handles
    """What may not be left out is longer than the bound."""


class Prompts:
    """The prompts' texts: the built-in ones, each replaced by a file of its name where a folder is given."""

    def __init__(self, folder: Path | None = None) -> None:
        """A README.md may stand in the folder.

        Raises UserError for a folder that is none, a file of no known name, and a slot that is missing or unknown.
        """
        self.texts = {name: (BUILT_IN / f"{name}.md").read_text(encoding="utf-8") for name in PROMPTS}
        if folder is not None:
            self.texts |= _read_folder(folder)
        whole = "".join(f"{name}\0{text}\0" for name, text in sorted(self.texts.items()))
        self.version = hashlib.sha256(whole.encode()).hexdigest()[:12]  # kept with each exchange

    def render(self, name: str, sections: Mapping[str, Section | str], max_tokens: int = MAX_TOKENS) -> str:
        """The prompt with its slots filled, of at most `max_tokens` estimated tokens.

        A text is a section that is never left out. A part of the file, from one heading to the next, whose slots are
        all empty is left out with its heading.

        Raises PromptTooLong where even the least is too long, and KeyError for a required slot that is not given.
        """
        filled = {key: Section((value,)) if isinstance(value, str) else value for key, value in sections.items()}
        for slot in PROMPTS[name].required:
            if slot not in filled:
                raise KeyError(f"the prompt '{name}' needs '{slot}'")
        used = set(_SLOT.findall(self.texts[name]))
        kept = {key: len(section.items) for key, section in filled.items()}
        text = self._fill(name, filled, kept)
        cuttable = sorted(
            (key for key in used & set(filled) if filled[key].importance is not None),
            key=lambda key: (filled[key].importance, key),
        )
        for key in cuttable:
            while kept[key] and estimate(text) > max_tokens:
                kept[key] -= 1
                text = self._fill(name, filled, kept)
        if estimate(text) > max_tokens:
            raise PromptTooLong(
                f"the prompt '{name}' has at least {estimate(text)} tokens, more than the bound of {max_tokens}: "
                "raise the bound, or shorten the genome."
            )
        return text

    def _fill(self, name: str, sections: Mapping[str, Section], kept: Mapping[str, int]) -> str:
        values = {key: section.text(kept[key]) for key, section in sections.items()}
        parts = []
        for part in _parts(self.texts[name]):
            slots = _SLOT.findall(part)
            if not slots or any(values.get(slot, "").strip() for slot in slots):
                # One pass, and by a function: what is filled in may itself hold slots or back-slashes.
                parts.append(_SLOT.sub(lambda match: values.get(match.group(1), ""), part).strip())
        return "\n\n".join(part for part in parts if part) + "\n"


def _parts(text: str) -> list[str]:
    starts = [0, *(match.start() for match in _HEADING.finditer(text) if match.start() > 0), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(starts)]


def _read_folder(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        raise UserError(f"The folder of prompts {folder} does not exist.")
    texts = {}
    for path in sorted(folder.glob("*.md")):
        name = path.stem
        if name.lower() == "readme":
            continue
        if name not in PROMPTS:
            raise UserError(f"{path} is the file of no prompt. {_hint(name, list(PROMPTS))}")
        try:
            texts[name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"The prompt {path} cannot be read: {error}.") from error
        _check_slots(path, texts[name], PROMPTS[name])
    return texts


def _check_slots(path: Path, text: str, slots: Slots) -> None:
    found = _SLOT.findall(text)
    known = [*slots.required, *slots.optional]
    for slot in found:
        if slot not in known:
            raise UserError(f"{path} has an unknown slot '{{{{{slot}}}}}'. {_hint(slot, known)}")
    for slot in slots.required:
        if slot not in found:
            raise UserError(f"{path} lacks the slot '{{{{{slot}}}}}'.")


def _hint(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"Did you mean '{near[0]}'?"
    return f"Known: {', '.join(known)}." if known else "This prompt has no slots."
