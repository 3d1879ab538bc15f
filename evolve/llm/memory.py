"""What earlier edits changed, keyed by the statements they touched: tried ideas are found and not tried again."""

from __future__ import annotations

import ast
import difflib
import textwrap
from collections.abc import Iterator, Mapping
from functools import lru_cache

from evolve.archive.repository import Archive
from evolve.individual import Individual
from evolve.variation.source import Unparsable, parse_alone
from evolve.variation.statements import Suite, Unit, parse

RECENT = 400  # individuals that are remembered: reading one costs a few milliseconds
_SHARED = 64  # genomes whose statements are kept: those of parents are needed again and again

Statements = Mapping[str, str]  # a statement's path ('GPT.forward.x', 'MATRIX_LR') -> its code, normalised
Fingerprint = frozenset[tuple[str, str]]


def touched(parent: str, child: str) -> dict[str, str]:
    """The statements that differ between two genomes, with the child's code; an empty one was deleted.

    Comments and formatting do not count, nor does the order of statements. Statements of one path (a name
    that a function assigns several times) count as one. Empty where either text is not Python.
    """
    try:
        return _changed(statements(parent), statements(child))
    except Unparsable:
        return {}


def fingerprint(parent: str, child: str) -> Fingerprint:
    """Equal for two edits that gave the same statements the same code, whatever their parents."""
    return frozenset(touched(parent, child).items())


@lru_cache(_SHARED)
def statements(source: str) -> Statements:
    """All statements of a genome by their path. Raises Unparsable."""
    found: dict[str, str] = {}
    for path, code in _leaves(parse(source), ""):
        found[path] = f"{found[path]}\n{code}" if path in found else code
    return found


def _changed(before: Statements, after: Statements) -> dict[str, str]:
    changed = {path: code for path, code in after.items() if before.get(path) != code}
    return changed | {path: "" for path in before if path not in after}


def _leaves(suite: Suite, path: str) -> Iterator[tuple[str, str]]:
    for unit in suite.units:
        yield from _of_unit(unit, f"{path}.{unit.label}" if path else unit.label)


def _of_unit(unit: Unit, path: str) -> Iterator[tuple[str, str]]:
    yield path, _normal(unit.head)
    if unit.suite:
        yield from _leaves(unit.suite, path)
    for clause in unit.clauses:
        yield from _of_unit(clause, f"{path}.{clause.label}")


def _normal(code: str) -> str:
    """Without comments and formatting. A header alone is no program: it gets a block to be read with."""
    text = textwrap.dedent(code)
    for whole in (text, f"{text.rstrip()}\n    pass\n"):
        try:
            return ast.unparse(parse_alone(whole))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return " ".join(code.split())


class Memory:
    """The edits of an archive's latest individuals, each read once. `repeated` may be called from any thread."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._touched: dict[int, dict[str, str]] = {}
        self._edits: dict[Fingerprint, list[int]] = {}
        self._by_path: dict[str, list[int]] = {}
        self._diffs: dict[int, str] = {}
        self._next = max(0, len(archive.individuals) - RECENT)

    def refresh(self) -> None:
        """Take in what was archived since the last call."""
        individuals = self._archive.individuals
        for id in range(self._next, len(individuals)):
            one = individuals[id]
            edit = touched(individuals[one.parents[0]].genome, one.genome) if one.parents else {}
            self._touched[id] = edit
            for path in edit:
                self._by_path.setdefault(path, []).append(id)
            if edit:
                self._edits.setdefault(frozenset(edit.items()), []).append(id)
        self._next = len(individuals)

    def touched_by(self, individual: Individual) -> dict[str, str]:
        """The statements of the individual's own edit; empty for the seed genome and beyond the memory."""
        return self._touched.get(individual.id, {})

    def on(self, paths: Mapping[str, str]) -> list[Individual]:
        """The individuals whose edits touched any of these statements, in order of birth."""
        ids = {id for path in paths for id in self._by_path.get(path, ())}
        return [self._archive.individuals[id] for id in sorted(ids)]

    def repeated(self, parent: str, child: str) -> Individual | None:
        """The individual that a child need not be trained beside: the same genome, or the same edit in vain.

        An edit that gained something where it was made may be made again on another parent; one that
        failed or gained nothing, or whose outcome is not known yet, is a repetition.
        """
        archive = self._archive
        same = archive.find(child)
        if same is not None:
            return archive.individuals[same]
        for id in self._edits.get(fingerprint(parent, child), ()):
            one = archive.individuals[id]
            origin = archive.individuals[one.parents[0]]
            if not one.fitness.measured or one.fitness.gain_over(origin.fitness) <= 0:
                return one
        return None

    def diff(self, individual: Individual) -> str:
        """The individual's edit as a unified diff against its first parent, with one line around; kept."""
        if individual.id not in self._diffs:
            origin = self._archive.individuals[individual.parents[0]].genome if individual.parents else ""
            self._diffs[individual.id] = unified(origin, individual.genome) if origin else ""
            if len(self._diffs) > RECENT:
                del self._diffs[next(iter(self._diffs))]
        return self._diffs[individual.id]


def unified(before: str, after: str) -> str:
    """A short unified diff without file names."""
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1))
    return "\n".join(lines[2:])
