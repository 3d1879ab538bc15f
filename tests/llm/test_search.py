"""Searches whose offspring models write, as a user starts them: real processes, a real HTTP server, the toy arena."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from evolve.archive.repository import Archive
from tests.command import TOY, evolve
from tests.llm.server import BLOCK, ModelServer, constant, narrow

KEY = "sk-never-to-be-archived-0987654321"
PLAN = ("--arena", TOY, "--out", "run", "--pop", 4, "--gens", 3, "--seed", 1, "--workers", 1)
PRICES = """
[[models]]
name = "a"
input_price = 2.0
output_price = 8.0
[[models]]
name = "b"
input_price = 0.5
output_price = 1.0
"""


def search(server: ModelServer, cwd: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return evolve(*PLAN, *arguments, cwd=cwd, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url)


def objects(archive: Path) -> bytes:
    """All that an archive's objects say."""
    git = ["git", "-C", str(archive), "cat-file", "--batch", "--batch-all-objects"]
    return subprocess.run(git, capture_output=True, check=True).stdout


def test_two_models_write_and_everything_is_archived_but_the_key(httpserver: HTTPServer, tmp_path: Path) -> None:
    def indiscreet(messages: list[dict[str, str]], number: int) -> str:
        return narrow(messages, number).replace("Move", f"{KEY}: move")

    server = ModelServer(httpserver, {"a": narrow, "b": indiscreet}, key=KEY)
    (tmp_path / "evolve.toml").write_text(PRICES)
    done = search(server, tmp_path, "--config", "evolve.toml", "--model", "a", "--model", "b", "--llm-only")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mutation by a, b" in done.stdout
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        born = [one for one in archive.individuals.values() if one.id]
        exchanges = archive.exchanges()
    assert len(born) == 12 and {one.model for one in born} >= {"a", "b"}
    assert all(one.operator in ("tune", "structure", "simplify", "radical", "fix", "crossover") for one in born)
    assert all(one.cost["money"] > 0 and one.cost["output_tokens"] > 0 for one in born if one.model)
    noted = {one.id for one, exchange in exchanges if exchange.get("rejection") is None}
    assert noted >= {one.id for one in born}
    accepted = next(exchange for one, exchange in exchanges if one.id == 1)
    assert accepted["messages"][0]["role"] == "system" and "BIAS" in accepted["messages"][1]["content"]
    assert "SEARCH" in accepted["reply"] and len(accepted["prompts"]) == 12 and accepted["seconds"] >= 0
    assert KEY.encode() not in objects(tmp_path / "run" / "archive.git")
    assert b"[key]: move" in objects(tmp_path / "run" / "archive.git")
    status = evolve("status", "run", cwd=tmp_path).stdout
    assert "language models:" in status and "cost 0.0" in status and "boxes saved" in status
    assert "a mutation tune" in status or "b mutation tune" in status


def test_catalogue_goes_on_where_the_server_dies_and_a_resume_knows_what_was_spent(
    httpserver: HTTPServer, tmp_path: Path
) -> None:
    def last(messages: list[dict[str, str]], number: int) -> str:
        server.down = True
        return narrow(messages, number)

    server = ModelServer(httpserver, {"a": last})
    done = search(server, tmp_path, "--model", "a", "--gens", 8)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No language model answers" in done.stdout and "down for now" in done.stdout
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        first = [one.model for one in archive.individuals.values()]
        tokens = sum(exchange["input_tokens"] + exchange["output_tokens"] for _, exchange in archive.exchanges())
    assert len(first) == 33 and tokens > 0
    server.down, server.answers = False, {"a": narrow}
    more = search(server, tmp_path, "--model", "a", "--gens", 10)
    assert more.returncode == 0, more.stdout + more.stderr
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        assert len(archive.individuals) == 41
        assert "a" in [one.model for one in archive.individuals.values()][33:]
        spent = sum(exchange["input_tokens"] + exchange["output_tokens"] for _, exchange in archive.exchanges())
    asked = len(server.requests)
    capped = search(server, tmp_path, "--model", "a", "--gens", 11, "--max-tokens", spent + 100)
    assert capped.returncode == 0, capped.stdout + capped.stderr
    assert "used up" in capped.stdout
    assert len(server.requests) == asked + 1  # the probe: no room for anything else


def test_a_wrong_key_is_told_before_anything_runs(httpserver: HTTPServer, tmp_path: Path) -> None:
    server = ModelServer(httpserver, {"a": narrow}, key="another")
    done = search(server, tmp_path, "--model", "a")
    assert done.returncode == 2 and "does not accept the key in OPENAI_API_KEY" in done.stderr
    assert KEY not in done.stderr and not (tmp_path / "run").exists()
    unknown = evolve(*PLAN, "--model", "z", cwd=tmp_path, OPENAI_API_KEY="another", OPENAI_BASE_URL=server.url)
    assert unknown.returncode == 2 and "does not exist (404)" in unknown.stderr


def test_llm_only_stops_with_its_budget(httpserver: HTTPServer, tmp_path: Path) -> None:
    server = ModelServer(httpserver, {"a": narrow})
    done = search(server, tmp_path, "--model", "a", "--llm-only", "--max-tokens", 15_000)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stopping (--llm-only)" in done.stdout
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        assert 1 < len(archive.individuals) < 13
        assert all(one.model == "a" for one in archive.individuals.values() if one.id)
        assert sum(e["input_tokens"] + e["output_tokens"] for _, e in archive.exchanges()) <= 15_000
    status = evolve("status", "run", cwd=tmp_path).stdout
    assert "cost unknown" in status


def test_what_cannot_be_used_goes_back_once_with_its_error(httpserver: HTTPServer, tmp_path: Path) -> None:
    turns = itertools.count()  # of first answers alone: repairs must not make it skip a kind

    def careless(messages: list[dict[str, str]], number: int) -> str:
        if len(messages) != 2:
            return narrow(messages, number)
        broken = ["not there = 1", "", "BIAS = 1 / 0", "BIAS = (", constant("BIAS", messages[1]["content"])]
        new = broken[next(turns) % len(broken)]
        old = "no such line" if new.startswith("not") else constant("BIAS", messages[1]["content"])
        return BLOCK.format(idea="A careless edit.", old=old, new=new)

    server = ModelServer(httpserver, {"a": careless})
    done = search(server, tmp_path, "--model", "a", "--llm-only")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all("What went wrong" in text for text in server.asked("a") if "## The script\n" not in text)
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        repaired = {e["repaired"] for _, e in archive.exchanges() if "repaired" in e}
        assert {"not found", "does not run", "unparsable", "no-op"} <= repaired
        assert all(one.fitness.measured for one in archive.individuals.values())
        crashes = [e["reason"] for _, e in archive.exchanges() if e.get("repaired") == "does not run"]
        assert any("ZeroDivisionError" in crash and "one step" in crash for crash in crashes)
    status = evolve("status", "run", cwd=tmp_path).stdout
    assert "sent back with their error" in status and "does not run" in status


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--llm-only",), "name one with --model"),
        (("--model", "a", "--max-cost", 1), "price of a is not known"),
        (("--model", "a", "--model", "a"), "given twice"),
        (("--model", "a", "--program", "nowhere.md"), "nowhere.md"),
        (("--model", "a", "--prompts", "nowhere"), "does not exist"),
    ],
)
def test_what_the_user_has_to_mend(
    httpserver: HTTPServer, tmp_path: Path, arguments: tuple[object, ...], sentence: str
) -> None:
    done = search(ModelServer(httpserver, {"a": narrow}), tmp_path, *arguments)
    assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_key_without_a_model_says_how_to_name_one(httpserver: HTTPServer, tmp_path: Path) -> None:
    done = search(ModelServer(httpserver, {}), tmp_path, "--max-evals", 2)
    assert done.returncode == 0 and "name a model with --model" in done.stdout
