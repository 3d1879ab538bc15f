"""Coding agents: real processes in real checkouts, well-behaved and otherwise."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve import arena as arenas
from evolve.archive.repository import Archive
from evolve.engine import Evolution
from evolve.errors import UserError
from evolve.individual import Individual, Offspring
from evolve.llm.agent import Agent, last_message
from evolve.rundir import RunDirectory
from evolve.toolbox import make_toolbox
from evolve.trials import Data, TrialMaker
from tests.command import TOY, evolve, start
from tests.stub import evaluate, open_archive

FAKE = Path(__file__).parent / "fake_agent.py"
TOY_ARENA = arenas.load(str(TOY))


def command(behaviour: str, *words: str) -> str:
    return shlex.join([sys.executable, str(FAKE), behaviour, *words])


@pytest.fixture
def evolution(tmp_path: Path) -> Iterator[Evolution]:
    """A search whose seed genome was measured."""
    archive = open_archive(tmp_path / "run" / "archive.git", TOY_ARENA)
    maker = TrialMaker(TOY_ARENA, Data("toy", "toy", ""), RunDirectory(tmp_path / "run"))
    evolution = Evolution(archive, make_toolbox(archive), maker, pop=2, gens=10, seed=1)
    trial = evolution.ask()
    assert trial is not None
    evolution.tell(evaluate(trial))
    yield evolution
    archive.close()


def bring(agent: Agent, evolution: Evolution) -> Offspring | None:
    """What the agent's first run brings."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        began = time.monotonic()
        offspring = agent.take(evolution)
        assert time.monotonic() - began < 10  # it never waits for the agent
        if offspring is not None or agent.refused:
            return offspring
        time.sleep(0.02)
    raise AssertionError("the agent brought nothing")


def body(evolution: Evolution, individual: Individual) -> str:
    git = ["git", "-C", str(evolution.archive.path), "log", "-1", "--format=%B", individual.commit]
    return subprocess.run(git, capture_output=True, text=True, check=True).stdout


def scratch_folders(folder: Path) -> list[Path]:
    return list(folder.glob("evolve-agent-*"))


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made, also by processes that a test starts."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


@pytest.mark.parametrize("place", ["{prompt_file}", None])
def test_what_it_changed_is_the_offspring(evolution: Evolution, scratch: Path, place: str | None) -> None:
    with Agent(command("edits", *([place] if place else [])), TOY_ARENA) as agent:
        offspring = bring(agent, evolution)
        assert offspring is not None
        assert offspring.genome.startswith(TOY_ARENA.seed_genome) and "EDITED = " in offspring.genome
        assert (offspring.operator, offspring.idea) == ("agent", "Say when it was edited.")
        assert offspring.model == Path(sys.executable).name
        assert offspring.parents == (0,) and offspring.generation == 1
        assert 0 < offspring.cost["seconds"] < 60
        assert offspring.body == "Expected: -0.001"
        individual = evolution.archive.add(offspring)
        agent.born(individual)
        assert "1 offspring" in agent.summary() and "refused" not in agent.summary()
    assert scratch_folders(scratch) == []


def test_other_files_are_discarded_and_told(evolution: Evolution) -> None:
    with Agent(command("edits more"), TOY_ARENA) as agent:
        offspring = bring(agent, evolution)
    assert offspring is not None and offspring.idea == "Done, and I left notes."
    individual = evolution.archive.add(offspring)
    assert "Discarded: cache/, individual.json, notes.txt" in body(evolution, individual)
    listing = ["git", "-C", str(evolution.archive.path), "ls-tree", "--name-only", individual.commit]
    names = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
    assert names == ["individual.json", "train.py"]


def test_a_commit_in_its_checkout_counts_and_stays_there(evolution: Evolution) -> None:
    refs = ["git", "-C", str(evolution.archive.path), "for-each-ref"]
    before = subprocess.run(refs, capture_output=True, check=True).stdout
    with Agent(command("commits"), TOY_ARENA) as agent:
        offspring = bring(agent, evolution)
    assert offspring is not None and "EDITED = " in offspring.genome
    assert offspring.idea.startswith("An edit by") and offspring.body == ""
    assert subprocess.run(refs, capture_output=True, check=True).stdout == before


@pytest.mark.parametrize(
    ("behaviour", "kind", "reason"),
    [
        ("nothing", "no-op", "as it was"),
        ("comments", "no-op", "comments and blanks only"),
        ("breaks", "unparsable", "line 1"),
        ("deletes", "no edit", "No such file"),
        ("links", "no edit", "no ordinary file"),
        ("fails", "failed", "no such key"),
    ],
)
def test_what_brings_nothing_is_counted_with_its_reason(
    evolution: Evolution, behaviour: str, kind: str, reason: str
) -> None:
    with Agent(command(behaviour), TOY_ARENA) as agent:
        assert bring(agent, evolution) is None
        assert dict(agent.refused) == {f"agent: {kind}": 1}
        assert reason in agent.last_failure and reason in agent.summary()
        assert agent.take(evolution) is None  # it rests
        assert agent._job is None


def test_garbage_on_its_output_does_no_harm(evolution: Evolution) -> None:
    with Agent(command("garbage"), TOY_ARENA) as agent:
        offspring = bring(agent, evolution)
    assert offspring is not None
    assert len(offspring.idea) <= 200 and offspring.idea.isprintable()
    assert evolution.archive.add(offspring).id == 1


def gone(pids: list[int], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(psutil.pid_exists, pids))


def read_pids(path: Path) -> list[int]:
    deadline = time.monotonic() + 30
    while not (path.exists() and path.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return [int(word) for word in path.read_text().split()]


@pytest.fixture
def pids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FAKE_AGENT_PIDS", str(tmp_path / "pids"))
    return tmp_path / "pids"


def test_at_its_time_limit_it_ends_with_all_that_it_started(evolution: Evolution, pids: Path) -> None:
    with Agent(command("sleeps"), TOY_ARENA, seconds=2.0) as agent:
        assert bring(agent, evolution) is None
        assert dict(agent.refused) == {"agent: timed out": 1}
        assert len(read_pids(pids)) == 3
        assert gone(read_pids(pids))


def test_what_it_changed_before_its_time_limit_is_kept(evolution: Evolution) -> None:
    with Agent(command("edits and sleeps"), TOY_ARENA, seconds=2.0) as agent:
        offspring = bring(agent, evolution)
    assert offspring is not None and "EDITED = " in offspring.genome
    assert offspring.body == "Ended: at its time limit of 2 s" and offspring.cost["seconds"] >= 2


def test_when_it_ends_nothing_of_it_stays(evolution: Evolution, pids: Path) -> None:
    with Agent(command("leaves one behind"), TOY_ARENA, seconds=60.0) as agent:
        assert bring(agent, evolution) is not None
        assert gone(read_pids(pids))


def test_a_stop_ends_it_at_once(evolution: Evolution, pids: Path, scratch: Path) -> None:
    with Agent(command("sleeps"), TOY_ARENA) as agent:
        assert agent.take(evolution) is None
        started = read_pids(pids)
        began = time.monotonic()
    assert time.monotonic() - began < 30
    assert gone(started)
    assert scratch_folders(scratch) == []


def test_the_same_script_again_is_refused(evolution: Evolution, tmp_path: Path) -> None:
    shell = "sh -c 'echo SAME = 1 >> train.py'"
    evolution.archive.add(Offspring(TOY_ARENA.seed_genome + "SAME = 1\n", (0,), "catalogue", "Same", 1))
    with Agent(shell, TOY_ARENA) as agent:
        assert bring(agent, evolution) is None
        assert dict(agent.refused) == {"agent: archived": 1} and "#1" in agent.last_failure


def test_an_agent_starts_with_the_signals_that_a_shell_expects(evolution: Evolution) -> None:
    shell = "sh -c 'echo X = 1 >> train.py; grep SigIgn /proc/self/status | cut -f 2'"
    with Agent(shell, TOY_ARENA) as agent:
        offspring = bring(agent, evolution)
    assert offspring is not None
    ignored = int(offspring.idea, 16)
    assert not ignored & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)


@pytest.mark.parametrize("command", ["", "  ", "'open", "no-such-program-here {prompt_file}"])
def test_a_command_that_cannot_run_is_refused_at_the_start(command: str) -> None:
    with pytest.raises(UserError, match="--agent"):
        Agent(command, TOY_ARENA)


@pytest.mark.parametrize(
    ("output", "idea"),
    [
        ("", ""),
        ("one\ntwo\n\n  \nLast words.\n", "Last words."),
        ("Idea: First.\nThen.\nIdea: Second one.\nmore\n", "Second one. more"),
        ("**Idea:** Bold.\n\n12 tokens used\n", "Bold."),
        ("\x1b]0;title\x07\x1b[32mDone.\x1b[0m It works.", "Done."),
    ],
)
def test_the_last_message_is_the_idea(output: str, idea: str) -> None:
    assert last_message(output).idea == idea


@settings(deadline=None, derandomize=True)
@given(st.text())
def test_any_output_gives_an_idea_of_one_line(output: str) -> None:
    idea = last_message(output).idea
    assert len(idea) <= 200 and (idea == "" or idea.isprintable())


PLAN = ("--arena", TOY, "--out", "run", "--pop", 3, "--gens", 4, "--seed", 1, "--time-box", 0.2, "--workers", 1)


def test_a_search_with_an_agent(tmp_path: Path) -> None:
    agent = command("edits", "{prompt_file}")
    done = evolve(*PLAN, "--agent", agent, "--agent-time", 30, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "offspring by" in done.stdout and "at most 30 s" in done.stdout
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        operators = [one.operator for one in archive.individuals.values()]
        written = [one for one in archive.individuals.values() if one.operator == "agent"]
    assert {"agent", "catalogue"} <= set(operators) and len(operators) == 13
    assert all(one.fitness.measured and one.cost["seconds"] > 0 for one in written)


def test_a_search_by_an_agent_alone_with_the_users_direction(tmp_path: Path) -> None:
    (tmp_path / "program.md").write_text("Think of EDITED first.\n")
    script = "grep -q 'Think of EDITED first' && echo EDITED=$(date +1%N) >> train.py"
    plan = (*PLAN[:6], "--gens", 1, "--program", "program.md", "--llm-only")
    done = evolve(*plan, "--agent", shlex.join(["sh", "-c", script]), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the coding agent alone" in done.stdout
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        assert [one.operator for one in archive.individuals.values()] == ["seed", "agent", "agent", "agent"]
    missing = evolve(*plan[:-2], "nowhere.md", "--agent", "true", cwd=tmp_path)
    assert missing.returncode == 2 and "nowhere.md" in missing.stderr and "Traceback" not in missing.stderr


def test_a_search_counts_what_an_agent_failed_to_bring(tmp_path: Path) -> None:
    done = evolve(*PLAN, "--agent", command("fails"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "exit code 3" in done.stdout
    assert "agent: failed" in evolve("status", "run", cwd=tmp_path).stdout
    done = evolve(*PLAN, "--agent", "no-such-program", cwd=tmp_path)
    assert done.returncode == 2 and "no-such-program" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_engine_that_ends_takes_its_agent_with_it(
    tmp_path: Path, pids: Path, scratch: Path, number: signal.Signals
) -> None:
    engine = start(*PLAN, "--gens", 500, "--agent", command("sleeps"), cwd=tmp_path)
    started = read_pids(pids)
    engine.send_signal(number)
    engine.communicate(timeout=60)
    assert gone(started)
    deadline = time.monotonic() + 30
    while scratch_folders(scratch) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert scratch_folders(scratch) == []
