"""Endpoints that hang, trickle, flood or talk nonsense: a search with them goes on, and ends when it is told to."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from evolve.archive import Archive
from tests.command import TOY, arena, evolve, start
from tests.llm.server import BLOCK, ModelServer, constant
from tests.weather import endpoint as weather
from tests.weather.aftermath import goes_on, sound, told
from tests.weather.endpoint import Behaviour, Endpoint, endpoint
from tests.weather.orphans import Nursery

PLAN = ("--arena", TOY, "--out", "run", "--pop", 4, "--seed", 1, "--workers", 1, "--confirm", 0)
BIRTHS = 8
PATIENCE = 25.0  # seconds for an end of which 2 are spent on waiting for replies; an answer may take the client 180
KEY = "sk-in-bad-weather-0987654321"


def variables(server: Endpoint) -> dict[str, str]:
    return {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url}


def check(folder: Path, nursery: Nursery, said: str) -> None:
    """All is as it should be, each request is accounted for, and the search goes on without a model."""
    run = folder / "run"
    sound(run, nursery, said)
    with Archive.open(run / "archive.git") as archive:
        asked = [line for _, line in archive.exchanges() if line["operator"] != "probe"]
    assert asked and all(line.get("fault") or line["rejection"] == "unused" for line in asked)
    assert "recovered" not in goes_on((*PLAN, "--gens", 1000), folder, run, nursery)


@pytest.mark.parametrize("behaviour", [weather.hangs, weather.trickles])
def test_the_plan_ends_without_replies(behaviour: Behaviour, tmp_path: Path, nursery: Nursery) -> None:
    with endpoint(behaviour) as server:
        began = time.monotonic()
        done = evolve(*PLAN, "--gens", 2, "--model", "a", cwd=tmp_path, timeout=240, **variables(server))
        assert time.monotonic() - began < 2 * PATIENCE
        assert done.returncode == 0, done.stdout + done.stderr
        said = done.stdout
        assert f"births {BIRTHS}/{BIRTHS}" in said and "had no reply at the end" in said
        check(tmp_path, nursery, said)


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (weather.floods, "sent an answer of more than 32 MB"),
        (weather.sends_garbage, "dropped the connection"),
    ],
)
def test_what_is_no_answer_is_told_and_the_search_goes_on(
    behaviour: Behaviour, words: str, tmp_path: Path, nursery: Nursery
) -> None:
    with endpoint(behaviour) as server:
        process = start(*PLAN, "--gens", 1000, "--model", "a", cwd=tmp_path, **variables(server))
        assert process.stdout is not None
        lines = iter(process.stdout)
        sentence = next(line for line in lines if "No language model answers" in line)
        assert "so the search goes on with catalogue and crossover" in sentence and words in sentence
        assert next(line for line in lines if line[:2].isdigit())  # an outcome
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=240)[0]
        assert process.returncode == 0 and "Traceback" not in rest, rest
        check(tmp_path, nursery, rest)


@pytest.mark.parametrize(
    ("behaviour", "signals", "box", "code", "words"),
    [
        (weather.hangs, [signal.SIGINT], 0.05, 0, "interrupted: running boxes finish"),
        (weather.trickles, [signal.SIGINT], 0.05, 0, "interrupted: running boxes finish"),
        (weather.hangs, [signal.SIGINT, signal.SIGINT], 3.0, 130, "interrupted twice: stopping at once"),
        (weather.hangs, [signal.SIGTERM], 0.05, 130, "terminated: running boxes have 25 s to finish"),
    ],
)
def test_a_search_that_waits_for_a_reply_ends_when_told(
    behaviour: Behaviour,
    signals: list[signal.Signals],
    box: float,
    code: int,
    words: str,
    tmp_path: Path,
    nursery: Nursery,
) -> None:
    """It has nothing else to do, but for the seed genome's second run, which a long box keeps going for a while."""
    with endpoint(behaviour) as server:
        plan = (*PLAN, "--model", "a", "--llm-only", "--time-box", box)
        process = start(*plan, cwd=tmp_path, **variables(server))
        assert server.asked.wait(60)
        began = time.monotonic()
        for number in signals:
            process.send_signal(number)
            time.sleep(0.5)
        said = process.communicate(timeout=240)[0]
        assert time.monotonic() - began < PATIENCE, said
        assert process.returncode == code and words in said and "Traceback" not in said, said
        check(tmp_path, nursery, said)


def test_control_c_ends_the_first_question_too(tmp_path: Path, nursery: Nursery) -> None:
    """The probes, before anything runs."""
    with endpoint(weather.hangs, answers_probes=False) as server:
        process = start(*PLAN, "--model", "a", "--model", "b", cwd=tmp_path, **variables(server))
        assert server.asked.wait(60)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=240)[0]
        assert time.monotonic() - began < PATIENCE / 2, said  # an answer to a probe may take the client 30
        assert process.returncode == 130 and "Traceback" not in said, said
        assert nursery.orphans(PATIENCE) == [] and not (tmp_path / "run").exists()


def test_a_dry_run_that_hangs_does_not_keep_a_search_from_ending(
    httpserver: HTTPServer, tmp_path: Path, nursery: Nursery
) -> None:
    """A reply came, and was tried; nothing else is under way."""
    seeds_are_done = threading.Event()

    def endless(messages: list[dict[str, str]], _: int) -> str:
        assert seeds_are_done.wait(60)
        old = constant("BIAS", messages[1]["content"])
        return BLOCK.format(idea="Wait.", old=old, new="BIAS = 0.25  # range: -1..1\nwhile True:\n    pass")

    url = ModelServer(httpserver, {"a": endless}).url
    place = arena(tmp_path / "patient", (TOY / "train.py").read_text(), startup=300.0)
    plan = ("--arena", place, *PLAN[2:], "--gens", 1000)
    process = start(*plan, "--model", "a", "--llm-only", cwd=tmp_path, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=url)
    assert process.stdout is not None
    said = ""
    while len(told(said.splitlines())) < 3:
        said += process.stdout.readline()
    seeds_are_done.set()
    deadline = time.monotonic() + 60
    # Several replies are tried at once, and any of them may hold the workers.
    while not list((tmp_path / "run" / "trials").glob("dry-*/heartbeat")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    said += process.communicate(timeout=400)[0]
    assert time.monotonic() - began < PATIENCE, said
    assert process.returncode == 0 and "Traceback" not in said, said
    goes_on(plan, tmp_path, tmp_path / "run", nursery, said)
