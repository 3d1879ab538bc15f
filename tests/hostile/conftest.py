"""The host that hostile genomes are let loose on: things to steal and to break, and a way to run them among these."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from evolve.evaluation.trial import Trial
from evolve.evaluation.worker import run_trial
from evolve.individual import Outcome
from evolve.sandbox.paths import SOURCES

from .expectation import Hostile
from .modes import needs

SECRET = "sk-hostile-must-not-see-this"
BESIDE = 4  # genomes at once
SUPPORT = Path(__file__).parent / "support"


@dataclass
class Bait:
    """Files with secrets, servers that note who came, and a process whose environment holds a key."""

    folder: Path
    servers: dict[str, socket.socket] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=dict)  # what a genome is told

    def __post_init__(self) -> None:
        self.run = self.folder / "readable" / "runs" / "search"  # below something readable, and to be hidden
        self.data = self.folder / "data"
        self.home = self.folder / "home"
        self.files = {
            "home": self.home / ".netrc",
            "archive": self.run / "archive.git" / "HEAD",
            "neighbour": self.run / "trials" / "other" / "scratch" / "train.py",
            "validation": self.data / "validation" / "confirm.bin",
            "tokens": self.data / "search.bin",
            "readable": self.folder / "readable" / "module.py",
        }
        for path in self.files.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(SECRET)
        self.names = {name: str(path) for name, path in self.files.items()}
        unix = str(self.folder / "readable" / "socket")
        kinds = {
            "tcp": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "udp": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "unix": (socket.AF_UNIX, socket.SOCK_DGRAM, unix),
            "abstract": (socket.AF_UNIX, socket.SOCK_DGRAM, f"\0evolve-hostile-{os.getpid()}"),
        }
        for name, (family, kind, address) in kinds.items():
            server = socket.socket(family, kind)
            server.bind(address)
            if kind == socket.SOCK_STREAM:
                server.listen()
            server.setblocking(False)
            self.servers[name] = server
            self.names[name] = server.getsockname() if family == socket.AF_INET else address
        environment = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": SECRET}
        self._holder = subprocess.Popen(["sleep", "600"], env=environment)
        self.names |= {"secret": SECRET, "holder": self._holder.pid}

    def check(self) -> None:
        """Fails where something was touched, or somebody came."""
        for path in self.files.values():
            assert path.read_text() == SECRET, path
        for name, server in self.servers.items():
            with pytest.raises(BlockingIOError):
                server.accept() if name == "tcp" else server.recv(100)
        assert self._holder.poll() is None

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()
        for server in self.servers.values():
            server.close()


@pytest.fixture(scope="session")
def bait(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bait]:
    bait = Bait(tmp_path_factory.mktemp("host"))
    yield bait
    bait.close()


def let_loose(bait: Bait, hostile: Hostile, mode: str, way: str) -> list[Outcome]:
    """Run a toy genome in a mode and a way among the bait, as often as it wants."""
    trial = Trial(
        individual=0,
        replicate=0,
        seed=1,
        source=hostile.source,
        script="train.py",
        folder=str(bait.run / "trials" / f"{hostile.name}-{mode}-{way}"),
        preload=("json",) if way == "forked" else (),
        time_box=0.3,
        startup=60.0,
        grace=30.0,
        scoring=60.0,
        memory_mb=300,
        scratch_mb=100,
        output_kb=20,
        environment={
            "BAIT": json.dumps(bait.names),
            "PYTHONPATH": os.pathsep.join(map(str, (SOURCES, SUPPORT))),
        },
        sandbox=mode,
        readable=(str(bait.data), str(bait.folder / "readable")),
        hidden=(str(bait.run), str(bait.data / "validation"), str(bait.data / "search.bin")),
    )
    trial = replace(trial, **hostile.trial)
    return [run_trial(trial) for _ in range(hostile.runs)]


@pytest.fixture(scope="session")
def outcomes(request: pytest.FixtureRequest, bait: Bait) -> Iterator[Callable[[Hostile, str, str], list[Outcome]]]:
    """What became of a genome. All that are asked for in this session run beside each other: most of them wait."""
    chosen = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    cases = [(one["hostile"], one["mode"], one["way"]) for one in chosen if {"hostile", "way"} <= one.keys()]
    with ThreadPoolExecutor(BESIDE) as threads:
        futures = {
            (hostile.name, mode, way): threads.submit(let_loose, bait, hostile, mode, way)
            for hostile, mode, way in cases
            if not needs(mode, way)
        }
        yield lambda hostile, mode, way: futures[hostile.name, mode, way].result()
        threads.shutdown(cancel_futures=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if sys.platform != "linux":
        for item in items:
            item.add_marker(pytest.mark.skip(reason="sandboxes are Linux's"))
