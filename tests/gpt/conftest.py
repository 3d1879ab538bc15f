"""Prepared corpora, and runs with a report that can be read."""

from __future__ import annotations

import gc
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt import corpus as corpora
from gpt.harness import Harness
from gpt.prepare import prepare
from gpt.prepared import Prepared
from gpt.run import Run
from tests.gpt.text import write_corpus

Event = dict[str, Any]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own."""
    monkeypatch.setenv("EVOLVE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A small corpus, really prepared, with 300 tokens."""
    root = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVOLVE_CACHE", str(root / "cache"))
        return prepare(corpora.folder(write_corpus(root / "text")), vocab_size=300)


def report_pair() -> tuple[socket.socket, socket.socket]:
    """The harness's end and a run's, who finds all its questions answered: nothing is handed over.

    A packet an event and an answer, so that nobody has to answer in turn.
    """
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for _ in range(3):
        reader.send(b"{}\n")
    reader.setblocking(False)
    return reader, writer


def events_of(reader: socket.socket) -> list[Event]:
    """The events that have come since the last call."""
    events: list[Event] = []
    while True:
        try:
            data = reader.recv(1 << 16)
        except ConnectionResetError:  # told first, where the other side left an answer unread
            continue
        except BlockingIOError:
            return events
        if not data:
            return events
        events += map(json.loads, data.splitlines())


@dataclass
class Watched:
    """A run in this process, and the events that it has reported so far."""

    run: Run
    reader: socket.socket

    def events(self) -> list[Event]:
        return events_of(self.reader)


@pytest.fixture
def watch(small: Prepared) -> Iterator[Callable[..., Watched]]:
    """Makes runs on the small corpus: `watch(box=..., seed=...)`."""
    ends: list[socket.socket] = []

    def make(box: float = 0.2, seed: int = 0, splits: tuple[str, ...] = ("search",)) -> Watched:
        reader, writer = report_pair()
        ends.extend((reader, writer))
        harness = Harness(
            box=box, seed=seed, sequence_length=16, report_fd=writer.fileno(), splits=splits, validation_tokens=800
        )
        return Watched(Run(harness, small, torch.device("cpu")), reader)

    yield make
    gc.enable()
    for end in ends:
        end.close()


@pytest.fixture
def run_script(small: Prepared) -> Callable[..., tuple[subprocess.CompletedProcess[str], list[Event]]]:
    """Runs a script as the evaluation does, in its own process with a report socket."""

    def run(script: Path, **environment: str) -> tuple[subprocess.CompletedProcess[str], list[Event]]:
        reader, writer = report_pair()
        variables = {"GPT_DATA": str(small.folder), "GPT_BOX": "0.3", "GPT_THREADS": "1", "GPT_DEVICE": "cpu"}
        done = subprocess.run(
            [sys.executable, str(script)],
            env={**os.environ, **variables, "GPT_REPORT_FD": str(writer.fileno()), **environment},
            pass_fds=[writer.fileno()],
            capture_output=True,
            text=True,
            check=False,
        )
        writer.close()
        with reader:
            return done, events_of(reader)

    return run
