"""Prints, for each shape of reply, the share that becomes the intended child (or is refused, where it must be).

    python -m benchmarks.replies

Replies are made from random edits of the genome of the arena gpt_cpu, or of a made-up one where that is absent.
"""

from __future__ import annotations

import difflib
import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.options import make_parser, whole
from evolve.llm.edits import apply
from evolve.llm.rejection import Kind, ReplyRejected
from evolve.llm.replies import join_continuation, read_reply

GENOME = Path(__file__).resolve().parent.parent / "genomes" / "gpt_cpu" / "train.py"
NOTES = "Idea: Change it a little.\nHypothesis: It helps.\nExpected: -0.002\n\n"


@dataclass(frozen=True)
class Case:
    """A parent, a child one statement away from it, and the lines that differ with enough neighbours to be unique."""

    parent: str
    child: str
    search: list[str]
    replace: list[str]

    def block(self, search: list[str] | None = None, replace: list[str] | None = None) -> str:
        old = self.search if search is None else search
        new = self.replace if replace is None else replace
        return "\n".join(["<<<<<<< SEARCH", *old, "=======", *new, ">>>>>>> REPLACE", ""])

    def diff(self, context: int = 3) -> str:
        old, new = self.parent.splitlines(), self.child.splitlines()
        return "\n".join(difflib.unified_diff(old, new, "a/train.py", "b/train.py", n=context, lineterm="")) + "\n"


def made_up_genome() -> str:
    body = "    for step in range({}):\n        y = y + step\n    return y\n\n\n"
    functions = [f"def layer_{i}(x):\n    y = x * {i}.5\n{body.format(i + 2)}" for i in range(80)]
    main = 'def main():\n    run = gpt.start()\n\n\nif __name__ == "__main__":\n    main()\n'
    constants = "".join(f"VALUE_{i} = {i}  # range: 0..{i * 2 + 1}\n" for i in range(40))
    return f'"""A made-up genome."""\n\nimport gpt\n\n{constants}\n\n{"".join(functions)}{main}'


def make_case(genome: str, rng: random.Random) -> Case:
    """Change a number in a random line, or add a line below it, and widen until the place is unique."""
    lines = genome.splitlines()
    while True:
        at = rng.randrange(len(lines))
        line = lines[at]
        if not re.search(r"\d", line) or '"' in line or line.lstrip().startswith("#"):
            continue
        new = [re.sub(r"\d+", lambda match: str(int(match.group()) + 7), line, count=1)]
        if rng.random() < 0.3 and re.match(r"\s*\w+ = [\w. *+]+$", line):
            new.append(line)
        child = "\n".join([*lines[:at], *new, *lines[at + 1 :]]) + "\n"
        low, high = at, at + 1
        while sum(lines[i : i + high - low] == lines[low:high] for i in range(len(lines))) > 1:
            low, high = max(0, low - 1), min(len(lines), high + 1)
        try:
            compile(child, "child", "exec")
        except SyntaxError:
            continue
        return Case(genome, child, lines[low:high], [*lines[low:at], *new, *lines[at + 1 : high]])


def dedent(lines: list[str]) -> list[str]:
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[margin:] for line in lines]


def truncated(case: Case, repeat: bool) -> str:
    """A whole file, cut off after any word, and continued there or with the unfinished line again."""
    text = f"{NOTES}```python\n{case.child}```"
    ends = [match.end() for match in re.finditer(r"\w+|[^\w\s]+|\n +", text)]  # about where tokens end
    cut = random.Random(case.child).choice([end for end in ends if len(NOTES) + 20 < end < len(text) - 20])
    start = text.rfind("\n", 0, cut) + 1 if repeat else cut
    return join_continuation(text[:cut], text[start:])


Shape = Callable[[Case], str]
APPLICABLE: dict[str, Shape] = {
    "block, bare": lambda c: c.block(),
    "block after notes": lambda c: NOTES + c.block(),
    "block in a python fence": lambda c: f"{NOTES}```python\n{c.block()}```\nDone.",
    "block in a diff fence": lambda c: f"```diff\n{c.block()}```",
    "block in a 4-back-tick fence": lambda c: f"````\n{c.block()}````",
    "block, file name above": lambda c: f"train.py\n```python\n{c.block()}```",
    "block, file name in marker": lambda c: c.block().replace("SEARCH", "SEARCH train.py", 1),
    "block, six or eight marks": lambda c: c.block().replace("<<<<<<<", "<<<<<<").replace(">>>>>>>", ">>>>>>>>"),
    "block, fences inside": lambda c: c.block(["```python", *c.search, "```"], ["```python", *c.replace, "```"]),
    "block, indentation lost": lambda c: c.block(dedent(c.search), dedent(c.replace)),
    "block, indented too far": lambda c: c.block(["    " + x for x in c.search], ["    " + x for x in c.replace]),
    "block in a list item": lambda c: "".join("   " + line + "\n" for line in c.block().splitlines()),
    "block, trailing white space": lambda c: c.block([line + "  " for line in c.search]),
    "block, blank lines around": lambda c: c.block(["", *c.search, ""], ["", *c.replace, ""]),
    "block, CRLF": lambda c: (NOTES + c.block()).replace("\n", "\r\n"),
    "block twice": lambda c: c.block() + c.block(),
    "block beside an empty one": lambda c: c.block(c.search[:1], c.search[:1]) + c.block(),
    "block after thinking": lambda c: f"<think>\n{c.block(['no'], ['x'])}</think>\n{c.block()}",
    "block after an apology": lambda c: "I'm sorry for the last one.\n" + c.block(),
    "block, fence not closed": lambda c: f"```\n{c.block()}",
    "JSON with block text": lambda c: json.dumps({"idea": "Change.", "edit": c.block()}),
    "JSON with search, replace": lambda c: json.dumps(
        {"idea": "Change.", "edit": [{"search": "\n".join(c.search), "replace": "\n".join(c.replace)}]}
    ),
    "JSON notes, then block": lambda c: '```json\n{"idea": "Change."}\n```\n' + c.block(),
    "diff": lambda c: f"```diff\n{c.diff()}```",
    "diff, bare": lambda c: NOTES + c.diff(),
    "diff, wrong numbers": lambda c: f"```diff\n{re.sub(r'-[0-9]+,', '-9999,', c.diff(12))}```",
    "diff, no numbers": lambda c: f"```diff\n{re.sub(r'@@ .* @@', '@@', c.diff(12))}```",
    "diff, no file names": lambda c: "```diff\n" + c.diff(12).split("\n", 2)[2] + "```",
    "whole file": lambda c: f"{NOTES}```python\n{c.child}```",
    "whole file, no fence": lambda c: c.child,
    "whole file, 4 back-ticks": lambda c: f"````python\n{c.child}````",
    "whole file, cut and continued": lambda c: truncated(c, repeat=False),
    "whole file, cut, line repeated": lambda c: truncated(c, repeat=True),
}
REFUSED: dict[str, tuple[Kind, Shape]] = {
    "empty": (Kind.EMPTY, lambda _: " \n"),
    "refusal": (Kind.REFUSAL, lambda _: "I'm sorry, I can't help with that."),
    "prose only": (Kind.NO_EDIT, lambda _: "A higher learning rate would be better."),
    "block without its end": (Kind.TRUNCATED, lambda c: c.block().rsplit(">>>>>>>", 1)[0]),
    "whole file, cut off": (Kind.TRUNCATED, lambda c: f"```python\n{c.child[: len(c.child) // 2]}"),
    "block, wrong marker": (Kind.MALFORMED_BLOCK, lambda c: c.block() + c.block().replace("SEARCH", "FIND")),
    "block, no divider": (Kind.MALFORMED_BLOCK, lambda c: c.block().replace("\n=======", "", 1)),
    "lines that are not there": (Kind.NOT_FOUND, lambda c: c.block(["nowhere = 12345"], ["nowhere = 2"])),
    "a part of a line": (Kind.NOT_FOUND, lambda c: c.block([c.search[0][: len(c.search[0]) // 2 + 1] + "~"], ["x"])),
    "lines found twice": (Kind.AMBIGUOUS, lambda c: c.block(repeated_line(c.parent), ["pass"])),
    "empty search": (Kind.EMPTY_SEARCH, lambda c: c.block([], ["import math"])),
    "nothing changed": (Kind.NO_OP, lambda c: c.block(c.search, c.search)),
    "code left out": (Kind.ELIDED, lambda c: c.block(c.search, ["# ... existing code ...", *c.replace])),
    "a snippet": (Kind.FRAGMENT, lambda c: "```python\n" + "\n".join(c.replace) + "\n```"),
    "not Python": (Kind.UNPARSABLE, lambda c: c.block(c.search, [*c.replace, "def ("])),
}


def repeated_line(genome: str) -> list[str]:
    lines = genome.splitlines()
    return [next(line for line in lines if line.strip() and lines.count(line) > 1)]


def outcome(text: str, parent: str) -> str | Kind:
    try:
        return apply(read_reply(text).edit, parent)
    except ReplyRejected as refused:
        return refused.kind


def main() -> None:
    parser = make_parser("replies", __doc__)
    parser.add_argument("--replies", type=whole(), default=40, metavar="N", help="of each shape (40)")
    parser.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of the edits (0)")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    genome = GENOME.read_text(encoding="utf-8") if GENOME.exists() else made_up_genome()
    cases = [make_case(genome, rng) for _ in range(arguments.replies)]
    print(f"genome: {len(genome):,} characters; {arguments.replies} replies of each shape\n")
    print(f"{'shape of reply':34}{'as intended':>12}{'ms each':>10}  meant to be")
    shapes: list[tuple[str, Kind | None, Shape]] = [(name, None, make) for name, make in APPLICABLE.items()]
    shapes += [(name, kind, make) for name, (kind, make) in REFUSED.items()]
    right = {True: 0, False: 0}
    for name, kind, make in shapes:
        texts = [make(case) for case in cases]
        started = time.perf_counter()
        results = [outcome(text, case.parent) for text, case in zip(texts, cases, strict=True)]
        milliseconds = (time.perf_counter() - started) * 1000 / len(cases)
        hits = sum(got == (kind or case.child) for got, case in zip(results, cases, strict=True))
        right[kind is None] += hits
        meant = "applied" if kind is None else f"refused: {kind}"
        print(f"{name:34}{hits / len(cases):>12.0%}{milliseconds:>10.2f}  {meant}")
    print(f"\napplied as intended: {right[True] / len(APPLICABLE) / len(cases):.1%} of {len(APPLICABLE)} shapes")
    print(f"refused as intended: {right[False] / len(REFUSED) / len(cases):.1%} of {len(REFUSED)} shapes")


if __name__ == "__main__":
    main()
