"""What a page tells of an individual when it is chosen: diff, evaluations, curve, prompts. Packed, for it is much."""

from __future__ import annotations

import base64
import difflib
import gzip
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from analysis.tables import kind
from evolve.archive import plumbing
from evolve.archive.repository import Archive
from evolve.archive.table import measured
from evolve.individual import Individual

LONGEST_DIFF = 40_000  # characters; a diff of more is a new script, and the archive has it
CURVE_POINTS = 64
_COMMIT = re.compile(r"^[0-9a-f]{40}$", re.MULTILINE)
_SHOWN = (
    "replicate",
    "score",
    "reason",
    "steps",
    "parameters",
    "peak_memory_mb",
    "seconds_training",
    "seconds_total",
    "trusted",
)

_TRIED = ("idea", "status", "score")  # before an import, without a genome


def packed(archive: Archive) -> str:
    """The details of all individuals as base64 of gzipped JSON.

    {"paragraphs": [text], "individuals": {id: {"diff", "evaluations", "exchanges", "ideas"}}}. A prompt is a list of
    indices into `paragraphs`: prompts repeat the script and each other, and so each paragraph is there once.
    """
    paragraphs: dict[str, int] = {}
    individuals: dict[int, dict[str, Any]] = {}
    texts = diffs(archive)
    for one in archive.everyone.values():
        ideas = [{name: line.get(name) for name in _TRIED} for line in archive.ideas(one)]
        individuals[one.id] = {"diff": texts.get(one.id, ""), "evaluations": [], "exchanges": [], "ideas": ideas}
    told: dict[int, dict[str, Any]] = {}
    for one, outcome in (*archive.in_order(), *archive.studies()):
        values = measured(outcome)
        figures = {name: values[name] for name in _SHOWN if values[name] not in (None, "")}
        evaluation = {"kind": kind(outcome), "status": outcome.status.value, **figures, "curve": [], "tail": ""}
        told[id(outcome)] = evaluation
        individuals[one.id]["evaluations"].append(evaluation)
    for _, outcome, left in archive.every_curve():
        told[id(outcome)] |= {"curve": _points(left["curve"]), "tail": left["tail"]}
    for one, exchange in archive.exchanges():
        individuals[one.id]["exchanges"].append(_exchange(exchange, paragraphs))
    text = json.dumps({"paragraphs": list(paragraphs), "individuals": individuals}, ensure_ascii=False, allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def diffs(archive: Archive) -> dict[int, str]:
    """The unified diff of each individual's script against its first parent's, by id; none where nothing differs."""
    pairs = [(one, archive.everyone[one.parents[0]]) for one in archive.everyone.values() if one.parents]
    newest = archive.unsettled()  # while a search runs, git is a second behind
    found = {one.id: _cut(_diff(parent.genome, one.genome)) for one, parent in pairs if one.commit in newest}
    pairs = [(one, parent) for one, parent in pairs if one.id not in found]
    asked = "".join(f"{one.commit} {parent.commit}\n" for one, parent in pairs)
    script = archive.read_state()["script"]
    options = ("--stdin", "-p", "--no-color", "--no-ext-diff", "--no-renames", "--root", "--", script)
    output = plumbing.run(archive.path, "diff-tree", *options, stdin=asked.encode()).decode(errors="replace")
    ids = {one.commit: one.id for one, _ in pairs}
    places = [(match.start(), match.end()) for match in _COMMIT.finditer(output)]
    ends = [*(start for start, _ in places), len(output)][1:]
    for (start, end), following in zip(places, ends, strict=True):
        text = output[end:following]
        hunks = text.find("\n@@")
        found[ids[output[start:end]]] = _cut(text[hunks + 1 :]) if hunks >= 0 else ""
    return found


def patch(archive: Archive, individual: Individual) -> str:
    """All that the individual changed on the seed genome, as `git apply` takes it; empty where that is nothing."""
    seed, script = archive.individuals[0], archive.read_state()["script"]
    if individual.commit in archive.unsettled():
        changed = _diff(seed.genome, individual.genome)
        return f"--- a/{script}\n+++ b/{script}\n{changed}" if changed else ""
    options = ("--no-color", "--no-ext-diff", seed.commit, individual.commit, "--", script)
    return plumbing.run(archive.path, "diff", *options).decode(errors="replace")


def _diff(before: str, after: str) -> str:
    """The hunks of a unified diff, for what git does not have yet."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="")
    return "".join(f"{line}\n" for line in list(lines)[2:])


def _cut(text: str) -> str:
    if len(text) <= LONGEST_DIFF:
        return text
    return text[:LONGEST_DIFF] + f"\n\\ {len(text) - LONGEST_DIFF} more characters are in the archive\n"


def _points(curve: list[tuple[float, float]]) -> list[list[float]]:
    finite = [[progress, loss] for progress, loss in curve if math.isfinite(loss)]
    return finite[:: -(-len(finite) // CURVE_POINTS) or 1]


def _exchange(exchange: Mapping[str, Any], paragraphs: dict[str, int]) -> dict[str, Any]:
    names = ("time", "model", "operator", "intent", "turn", "input_tokens", "output_tokens", "cost", "seconds")
    told = ("rejection", "repaired", "fault", "unresolved", "reason", "reply")
    record = {name: exchange.get(name) for name in names} | {
        name: exchange[name] for name in told if exchange.get(name)
    }
    record["messages"] = [
        {
            "role": message["role"],
            "text": [paragraphs.setdefault(part, len(paragraphs)) for part in message["content"].split("\n\n")],
        }
        for message in exchange["messages"]
    ]
    return record
