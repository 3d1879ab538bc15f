"""ask and tell as a person uses them: real processes, with and without an engine, right and wrong answers."""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from evolve.archive.repository import Archive
from evolve.individual import Individual
from tests.command import TOY, arena, environment, evolve, start

PLAN = ("--arena", "../toy", "--out", "run", "--pop", 3, "--seed", 1, "--workers", 1)
# With lines that stand there twice.
SOURCE = (TOY / "train.py").read_text().replace("import time\n", "import time\n\ntime.sleep(0)\ntime.sleep(0)\n")
IDEA = "Add nothing twice, slowly."


def answer(search: str, replace: str, prose: str = f"Idea: {IDEA}\nHypothesis: It is calmer.\n") -> str:
    return f"{prose}\n```python\n<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n```\nThat is all.\n"


GOOD = answer("import time", "import time\n\nPATIENCE = 2  # unused")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search of three births."""
    folder = tmp_path_factory.mktemp("searched")
    arena(folder.parent / "toy", SOURCE)
    done = evolve(*PLAN, "--gens", 1, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def here(searched: Path, tmp_path: Path) -> Path:
    """A copy of the search for one test."""
    folder = tmp_path / "here"
    shutil.copytree(searched, folder)
    (tmp_path / "toy").symlink_to(searched.parent / "toy")
    return folder


def ask(folder: Path, *arguments: object) -> str:
    """A ticket, as a person reads it from the prompt."""
    done = evolve("ask", "run", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    found = re.search(r"python -m evolve tell run (\w+) FILE", done.stdout)
    assert found, done.stdout
    return found.group(1)


def tell(folder: Path, ticket: str, text: str, *arguments: object, name: str = "answer.md") -> tuple[int, str]:
    """The exit code and all that was said."""
    (folder / name).write_text(text)
    done = evolve("tell", "run", ticket, name, *arguments, cwd=folder)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def parent_of(folder: Path, ticket: str) -> str:
    """The source that the ticket is about."""
    record = json.loads((folder / "run" / "tickets" / f"{ticket}.json").read_text())
    with Archive.open(folder / "run" / "archive.git") as archive:
        return archive.individuals[record["individual"]].genome


def from_outside(folder: Path) -> list[Individual]:
    with Archive.open(folder / "run" / "archive.git") as archive:
        return [one for one in archive.individuals.values() if one.operator == "outside"]


def test_a_prompt_holds_all_that_is_needed_and_asking_changes_nothing(here: Path) -> None:
    refs = ["git", "-C", str(here / "run" / "archive.git"), "for-each-ref"]
    before = subprocess.run(refs, capture_output=True, check=True).stdout
    (here / "program.md").write_text("Look at WIDTH first.\n")
    done = evolve("ask", "run", "--intent", "simplify", "--program", "program.md", cwd=here)
    ticket = re.findall(r"Ticket (\w{8}), to change #\d+ \(simplify\)", done.stderr)[0]
    assert parent_of(here, ticket) in done.stdout
    for words in ("<<<<<<< SEARCH", "Simplify:", "Look at WIDTH first.", "val_bpb", f"tell run {ticket} FILE"):
        assert words in done.stdout
    assert "1 open tickets, 0 offspring waiting" in evolve("status", "run", cwd=here).stdout
    assert subprocess.run(refs, capture_output=True, check=True).stdout == before


def test_an_answer_is_the_next_engines_first_offspring(here: Path) -> None:
    ticket = ask(here)
    code, said = tell(here, ticket, GOOD)
    assert code == 0 and IDEA in said
    assert "0 open tickets, 1 offspring waiting" in evolve("status", "run", cwd=here).stdout
    code, said = tell(here, ticket, GOOD)
    assert code == 2 and "answered already" in said and "waits" in said
    done = evolve(*PLAN, "--gens", 2, cwd=here)
    assert done.returncode == 0, done.stderr
    (one,) = from_outside(here)
    assert (one.id, one.idea, one.model) == (4, IDEA, None)
    assert one.fitness.measured and "PATIENCE = 2" in one.genome
    log = ["git", "-C", str(here / "run" / "archive.git"), "log", "-1", "--format=%B", one.commit]
    assert "Hypothesis: It is calmer." in subprocess.run(log, capture_output=True, text=True, check=True).stdout
    assert not list((here / "run" / "inbox").iterdir())
    code, said = tell(here, ticket, GOOD)
    assert code == 2 and "it became #4" in said
    assert "from outside" not in evolve("status", "run", cwd=here).stdout


def test_a_running_engine_takes_an_answer(here: Path) -> None:
    engine = start(*PLAN, "--gens", 2000, cwd=here)
    try:
        assert engine.stdout is not None
        next(line for line in engine.stdout if "#5 " in line)
        code, said = tell(here, ask(here), GOOD)
        assert code == 0, said
        line = next(line for line in engine.stdout if IDEA in line)
        assert re.search(r"#\d+  \d\.\d+ \(", line)  # measured
    finally:
        engine.send_signal(signal.SIGINT)
        engine.communicate(timeout=60)
    assert len(from_outside(here)) == 1


def _diff(parent: str) -> str:
    changed = parent.replace("import time\n", "import time  # of day\n")
    lines = difflib.unified_diff(parent.splitlines(True), changed.splitlines(True), "a/train.py", "b/train.py")
    return "Idea: Say which time.\n\n```diff\n" + "".join(lines) + "```\n"


def test_diffs_and_whole_files_and_standard_input_are_taken(here: Path) -> None:
    ticket = ask(here)
    code, said = tell(here, ticket, _diff(parent_of(here, ticket)))
    assert code == 0 and "Say which time." in said
    ticket = ask(here)
    whole = parent_of(here, ticket).replace("import time", "import time  # it flies")
    code, said = tell(here, ticket, whole, "--idea", "Time flies", name="mine.py")
    assert code == 0 and "Time flies" in said
    ticket = ask(here)
    whole = parent_of(here, ticket).replace("import time", "import time  # is money")
    code, said = tell(here, ticket, f"```python\n{whole}```\n")
    assert code == 0 and "1 lines added, 1 removed" in said
    (here / "stdin.md").write_text(GOOD)
    with (here / "stdin.md").open() as file:
        done = subprocess.run(
            [sys.executable, "-m", "evolve", "tell", "run", ask(here), "-"],
            cwd=here,
            env=environment(),
            stdin=file,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0 and IDEA in done.stdout
    assert evolve(*PLAN, "--gens", 3, cwd=here).returncode == 0
    ideas = [one.idea for one in from_outside(here)]
    assert ideas[:2] == ["Say which time.", "Time flies"] and len(ideas) == 4


WRONG = {
    "not found": (answer("import tome", "import time"), "answer.md"),
    "ambiguous": (answer("time.sleep(0)", "time.sleep(1)"), "answer.md"),
    "no-op": (answer("import time", "import time"), "answer.md"),
    "unparsable": (answer("import time", "import time time"), "answer.md"),
    "does not compile": (answer("import time", "import time\nreturn 1"), "answer.md"),
    "malformed block": ("<<<<<<< SEARCH\nimport time\n=======\nimport os\n<<<<<<< REPLACE\n", "answer.md"),
    "no edit": ("I would make it wider.\n", "answer.md"),
    "empty": ("\n", "answer.md"),
    "fragment": ("def score():\n    return 0\n", "answer.py"),
    "is this very script": (SOURCE, "answer.py"),
}


def test_a_wrong_answer_is_told_and_the_ticket_stays_valid(here: Path) -> None:
    ticket = ask(here)
    while parent_of(here, ticket) == SOURCE:  # its own text would be a no-op
        ticket = ask(here)
    for reason, (text, name) in WRONG.items():
        code, said = tell(here, ticket, text, name=name)
        assert code == 2 and reason in said and "ticket stays valid" in said, (reason, said)
    code, said = tell(here, ticket, GOOD)
    assert code == 0, said


def test_tickets_that_are_unknown_stale_or_of_nowhere(here: Path) -> None:
    for ticket in ("00000000", "../../etc/passwd", "x"):
        code, said = tell(here, ticket, GOOD)
        assert code == 2 and "no ticket" in said
    ticket = ask(here, "--expires", 1e-9)
    code, said = tell(here, ticket, GOOD)
    assert code == 2 and "has expired" in said and "Ask again" in said
    assert "from outside" not in evolve("status", "run", cwd=here).stdout
    (here / "run" / "tickets" / "12345678.json").write_text("[1, 2")
    code, said = tell(here, "12345678", GOOD)
    assert code == 2 and "cannot be read" in said
    assert evolve("status", "run", cwd=here).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("ask", "nowhere"), "no run at 'nowhere'"),
        (("ask", "run", "--intent", "fly"), "must be one of tune"),
        (("ask", "run", "--expires", "-1"), "above zero"),
        (("ask", "run", "--program", "nothing.md"), "cannot be read"),
        (("ask", "run", "--arena", "gpt_cpu"), "this run is of arena 'toy'"),
        (("tell", "run", "{ticket}", "nothing.md"), "cannot be read"),
        (("tell", "run", "{ticket}", "run"), "cannot be read"),
        (("tell", "run", "{ticket}", "bytes.md"), "not UTF-8"),
    ],
)
def test_bad_input_gets_one_clear_sentence(here: Path, arguments: tuple[str, ...], sentence: str) -> None:
    (here / "bytes.md").write_bytes(b"\xff\xfe")
    ticket = ask(here)
    done = evolve(*(word.format(ticket=ticket) for word in arguments), cwd=here)
    assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_two_answers_at_once_give_one_offspring(here: Path) -> None:
    ticket = ask(here)
    (here / "answer.md").write_text(GOOD)
    both = [start("tell", "run", ticket, "answer.md", cwd=here) for _ in range(2)]
    for one in both:
        one.communicate(timeout=60)
    assert sorted(one.returncode for one in both) == [0, 2]
    assert len(list((here / "run" / "inbox").glob("*.json"))) == 1


KILLED = """
import os, signal, sys
from evolve.cli import main
from evolve.inbox import Inbox
setattr(Inbox, sys.argv[1], lambda *_: os.kill(os.getpid(), signal.SIGKILL))
main(sys.argv[2:])
"""


@pytest.mark.parametrize("instant", ["born", "take"])
def test_a_kill_around_the_birth_neither_loses_nor_doubles(here: Path, instant: str) -> None:
    ticket = ask(here)
    assert tell(here, ticket, GOOD)[0] == 0
    plan = [str(word) for word in (*PLAN, "--gens", 2)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, instant, *plan], cwd=here, env=environment(), capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert len(from_outside(here)) == (1 if instant == "born" else 0)
    assert len(list((here / "run" / "inbox").glob("*.json"))) == 1
    assert evolve(*plan, cwd=here).returncode == 0
    (one,) = from_outside(here)
    assert [outcome.replicate for outcome in one.outcomes].count(0) == 1
    assert not list((here / "run" / "inbox").glob("*.json"))
    assert f"became #{one.id}" in tell(here, ticket, GOOD)[1]


def test_unusable_entries_are_moved_aside_with_a_reason(here: Path) -> None:
    with Archive.open(here / "run" / "archive.git") as archive:
        seed = archive.individuals[0]
    good = {"individual": 0, "commit": seed.commit, "genome": SOURCE + "# new\n", "idea": "New \ud800\x00", "body": ""}
    inbox = here / "run" / "inbox"
    inbox.mkdir()
    entries = {
        "half.json": '{"individual": 0, "gen',
        "list.json": "[]",
        "deep.json": "[" * 100_000,
        "keys.json": json.dumps({**good, "genome": None}),
        "parent.json": json.dumps({**good, "individual": 999}),
        "unhashable.json": json.dumps({**good, "individual": [0]}),
        "commit.json": json.dumps({**good, "commit": "0" * 40}),
        "syntax.json": json.dumps({**good, "genome": "import ("}),
        "surrogate.json": json.dumps({**good, "genome": "x = '\ud800'\n"}),
        "good.json": json.dumps(good),
    }
    for name, text in entries.items():
        (inbox / name).write_text(text)
    (inbox / "folder.json").mkdir()
    os.mkfifo(inbox / "fifo.json")
    (inbox / "binary.json").write_bytes(b"\xff\x00")
    done = evolve(*PLAN, "--gens", 2, cwd=here)
    assert done.returncode == 0, done.stderr
    (one,) = from_outside(here)
    assert one.genome == SOURCE + "# new\n" and one.idea.startswith("New ")
    rejected = inbox / "rejected"
    names = {path.name for path in rejected.iterdir() if path.suffix == ".json"}
    assert names == {*entries, "folder.json", "fifo.json", "binary.json"} - {"good.json"}
    assert all((rejected / f"{name}.reason").read_text().strip() for name in names)
    assert not list(inbox.glob("*.json"))
