"""From an archive to a prompt's facts, and the memory of tried edits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evolve import arena
from evolve.archive.repository import Archive
from evolve.individual import Individual, Offspring, Outcome, Status
from evolve.llm.briefing import RELATED, TRIED, brief, verdict
from evolve.llm.context import mutation_messages
from evolve.llm.memory import Memory, fingerprint, touched
from evolve.llm.prompting import Prompts
from tests.stub import TOY, open_archive

toy = arena.load(str(TOY))


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with open_archive(tmp_path / "archive.git", toy) as archive:
        archive.record(archive.individuals[0], Outcome(Status.OK, 2.0, curve=[(0.1, 3.0), (1.0, float("nan"))]))
        yield archive


def child(
    archive: Archive, parent: int, score: float | None, *edits: tuple[str, str], operator: str = "tune"
) -> Individual:
    genome = archive.individuals[parent].genome
    for old, new in edits:
        assert old in genome
        genome = genome.replace(old, new)
    one = archive.add(Offspring(genome, (parent,), operator, f"Idea of {edits}", 1))
    failure = Outcome(Status.CRASHED, reason="ended with code 1", tail="Traceback\nZeroDivisionError: nothing")
    archive.record(one, failure if score is None else Outcome(Status.OK, score))
    return one


def test_touched_statements_are_named_and_what_means_the_same_is_not_touched() -> None:
    before = (
        "A = 1  # range: 0..2\n\n\nclass M:\n    def f(self):\n        x = 1\n        if x:\n            return 2\n"
    )
    assert touched(before, before.replace("A = 1  # range: 0..2", "A   =  1")) == {}
    assert touched(before, before.replace("A = 1", "A = 2")) == {"A": "A = 2"}
    assert touched(before, before.replace("return 2", "return 3")) == {"M.f.if.return": "return 3"}
    assert touched(before, before.replace("        x = 1\n", "        x = 1\n        y = 2\n")) == {"M.f.y": "y = 2"}
    assert touched(before, before.replace("if x:", "if not x:")) == {"M.f.if": "if not x:\n    pass"}
    assert touched(before, before[: before.index("        if")]) == {"M.f.if": "", "M.f.if.return": ""}
    assert touched(before, "def (") == {}


def test_the_same_edit_of_other_parents_has_the_same_fingerprint() -> None:
    one, other = "A = 1\nB = 1\n", "A = 1\nB = 5\nC = 3\n"
    assert fingerprint(one, one.replace("A = 1", "A = 2")) == fingerprint(other, other.replace("A = 1", "A = 2  # !"))
    assert fingerprint(one, one.replace("A = 1", "A = 2")) != fingerprint(one, one.replace("A = 1", "A = 3"))


def test_memory_knows_what_was_in_vain(archive: Archive) -> None:
    worse = child(archive, 0, 2.5, ("WIDTH = 2.0", "WIDTH = 0.9"))
    better = child(archive, 0, 1.5, ("DEPTH = 3", "DEPTH = 6"))
    memory = Memory(archive)
    memory.refresh()
    again = better.genome.replace("WIDTH = 2.0", "WIDTH = 0.9")
    assert memory.repeated(better.genome, again) is worse  # on another parent, but it gained nothing before
    assert memory.repeated(worse.genome, worse.genome.replace("DEPTH = 3", "DEPTH = 6")) is None
    assert memory.repeated(worse.genome, better.genome) is better  # the same genome
    assert memory.repeated(better.genome, better.genome.replace("BIAS = 0.5", "BIAS = 0.4")) is None
    assert [one.id for one in memory.on({"DEPTH": ""})] == [better.id]


def test_a_brief_tells_parent_lineage_attempts_and_elites(archive: Archive) -> None:
    first = child(archive, 0, 1.5, ("DEPTH = 3", "DEPTH = 6"))
    archive.record(first, Outcome(Status.OK, 1.52, replicate=1))
    archive.record(archive.individuals[0], Outcome(Status.OK, 2.02, replicate=1))
    crashed = child(archive, first.id, None, ("WIDTH = 2.0", "WIDTH = 0.9"))
    rival = child(archive, 0, 1.6, ("DEPTH = 3", "DEPTH = 5"))
    waiting = archive.add(Offspring(first.genome + "\nX = 1\n", (first.id,), "radical", "Not run yet", 2))
    context = brief(archive, [first, rival, archive.individuals[0]], first, "fix", toy, "Try depth.")
    assert context.source == first.genome and context.measured.score == pytest.approx(1.51)
    assert context.measured.evaluations == 2 and context.measured.stderr == pytest.approx(0.01)
    assert [(step.idea, step.verdict) for step in context.lineage] == [(first.idea, "gain beyond noise")]
    tried = {step.idea: step for step in context.tried}
    assert set(tried) == {crashed.idea, rival.idea, waiting.idea}
    assert tried[crashed.idea].verdict == "crashed" and "ZeroDivisionError" in tried[crashed.idea].tail
    assert tried[crashed.idea].gain is None and "+WIDTH = 0.9" in tried[crashed.idea].diff
    assert tried[rival.idea].verdict == "unconfirmed, single runs"
    assert tried[waiting.idea].verdict == "being measured"
    assert [elite.idea for elite in context.elites] == [rival.idea]  # the seed genome is an ancestor
    system, user = (message["content"] for message in mutation_messages(Prompts(), context))
    assert "Try depth." in system and "lower is better" in system and "ZeroDivisionError" in user


def test_a_curve_with_gaps_and_many_attempts_are_bounded(archive: Archive) -> None:
    for number in range(TRIED + 5):
        child(archive, 0, 2.5, ("BIAS = 0.5", f"BIAS = 0.5{number}"))
    other = child(archive, 1, 2.5, ("BIAS = 0.50", "BIAS = 0.9"))
    context = brief(archive, [archive.individuals[0]], archive.individuals[0], "tune", toy, "")
    assert list(context.measured.curve) == [(0.1, 3.0)]
    assert len(context.tried) <= TRIED and other.idea in {step.idea for step in context.tried}
    assert RELATED < TRIED


def test_a_gain_is_believed_beyond_two_standard_errors() -> None:
    assert verdict(0.1, None) == "unconfirmed, single runs"
    assert verdict(0.1, 0.06) == "within noise" and verdict(-0.1, 0.06) == "within noise"
    assert verdict(0.1, 0.04) == "gain beyond noise" and verdict(-0.1, 0.04) == "loss beyond noise"


def test_arenas_may_say_task_and_contract(tmp_path: Path) -> None:
    cpu = arena.load("gpt_cpu")
    assert "one CPU" in cpu.task and "run.finish(model)" in cpu.contract
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "train.py").write_text("A = 1\n")
    (folder / "arena.toml").write_text('name = "mine"\nscript = "train.py"\ntask = 3\n')
    with pytest.raises(arena.UserError, match="task must be a text"):
        arena.load(str(folder))


def test_a_kept_memory_makes_no_diff_twice(archive: Archive) -> None:
    for number in range(12):
        child(archive, 0, 2.5, ("BIAS = 0.5", f"BIAS = 0.5{number}"))
    memory = Memory(archive)
    seed = archive.individuals[0]
    brief(archive, [seed], seed, "tune", toy, "", memory)
    known = dict(memory._diffs)
    brief(archive, [seed], seed, "tune", toy, "", memory)
    assert memory._diffs == known and len(known) == 12
