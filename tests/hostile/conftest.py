"""The host that hostile genomes are let loose on: things to steal and to break, and a way to run a genome among them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from evolve.evaluation.isolation import warm_parents
from evolve.evaluation.process_tree import descendants
from evolve.evaluation.trial import Trial
from evolve.evaluation.worker import run_trial
from evolve.individual import Outcome
from evolve.sandbox.paths import SOURCES

from ..evaluation.genomes import gone_within
from .expectation import Hostile

SECRET = "sk-hostile-must-not-see-this"
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


@pytest.fixture
def let_loose(bait: Bait) -> Callable[[Hostile, str, str], Outcome]:
    """Run a toy genome in a mode and a way among the bait; nothing of it may be left, and nothing touched."""

    def run(hostile: Hostile, mode: str, way: str) -> Outcome:
        environment = {
            "BAIT": json.dumps(bait.names),
            "PYTHONPATH": os.pathsep.join(map(str, (SOURCES, SUPPORT))),
        }
        trial = Trial(
            individual=0,
            replicate=0,
            seed=1,
            source=hostile.source,
            script="train.py",
            folder=str(bait.run / "trials" / "0-0"),
            preload=("json",) if way == "forked" else (),
            time_box=0.3,
            startup=20.0,
            grace=10.0,
            scoring=20.0,
            memory_mb=300,
            scratch_mb=100,
            output_kb=20,
            environment=environment,
            sandbox=mode,
            readable=(str(bait.data), str(bait.folder / "readable")),
            hidden=(str(bait.run), str(bait.data / "validation"), str(bait.data / "search.bin")),
        )
        outcome = run_trial(replace(trial, **hostile.trial))
        assert not Path(trial.folder).exists()
        left = [pid for parent in warm_parents.pids for pid in descendants(parent)]
        assert gone_within(left, 10.0)  # a supervisor has only to end itself
        bait.check()
        return outcome

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if sys.platform != "linux":
        for item in items:
            item.add_marker(pytest.mark.skip(reason="sandboxes are Linux's"))
