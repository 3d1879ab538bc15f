"""The same world in every way to get into it, and what becomes of those who do not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from evolve.evaluation import isolation
from evolve.evaluation.environment import process_environment
from evolve.evaluation.executors import Slot
from evolve.evaluation.isolation import Isolation
from evolve.evaluation.trial import HarnessFault, Trial
from evolve.evaluation.worker import run_trial
from evolve.individual import Status
from evolve.sandbox.confinement import Mode
from evolve.sandbox.probe import Probe
from evolve.sandbox.view import View
from tests.sandbox.isolated import run_isolated

from ..evaluation.genomes import after_opening
from ..hostile.modes import needs

LOOK = """
import os
with open("/proc/self/mountinfo") as file:
    mounts = [line.split() for line in file]
for fields in mounts:
    if not fields[4].startswith("/proc/"):
        print(fields[4], *sorted({"ro", "nosuid"} & set(fields[5].split(","))))
for folder in ("/", "/dev", "/etc", "/tmp", "/proc"):
    print(folder, sorted(name for name in os.listdir(folder) if not name.isdigit()))
with open("/proc/self/status") as file:
    print([line for line in file if line.startswith(("Cap", "NoNewPrivs", "Seccomp"))])
print(sorted(name for name in os.listdir("/proc/self/ns")), os.getcwd(), os.path.expanduser("~"))
"""


@pytest.mark.parametrize("mode", [pytest.param("bwrap", marks=needs("bwrap", "forked"))])
def test_a_fork_and_a_started_process_see_the_same(mode: str, tmp_path: Path) -> None:
    (tmp_path / "look.py").write_text(LOOK)
    place = Isolation(Mode(mode), tmp_path)
    seen = [
        run_isolated([sys.executable, str(tmp_path / "look.py")], place, seconds=120, preload=preload)
        for preload in ((), ("json",))
    ]
    assert [done.code for done in seen] == [0, 0], seen
    started, forked = (sorted(set(done.output.splitlines())) for done in seen)
    assert forked == started


@pytest.mark.parametrize("mode", [pytest.param("bwrap", marks=needs("bwrap"))])
def test_what_cannot_be_confined_as_a_fork_is_started(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = Probe(bwrap="", fork="not allowed", landlock="", seccomp="")
    monkeypatch.setattr(isolation, "probe", lambda: state)
    source = "import os\n" + after_opening("print('json' in sys.modules, os.getppid())").replace(
        "warm = parent(supervisor)", ""
    )
    trial = Trial(0, 0, 1, source, "train.py", str(tmp_path / "trial"), preload=("json",), sandbox=mode)
    outcome = run_trial(trial)
    assert outcome.status is Status.OK, outcome
    assert outcome.tail == "True 1"  # bubblewrap's own first process is its parent


@pytest.mark.parametrize("mode", [pytest.param("bwrap", marks=needs("bwrap", "forked"))])
def test_a_sandbox_that_fails_is_the_harnesss_fault(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is not blamed, and does not run."""
    script = tmp_path / "script.py"
    script.write_text("open('ran', 'w')")
    make = Isolation.view

    def vanishing(self: Isolation, slot: Slot, command: str, python_path: str) -> View:
        view = make(self, slot, command, python_path)
        (tmp_path / "tmp").rmdir()
        return view

    monkeypatch.setattr(Isolation, "view", vanishing)
    with pytest.raises(HarnessFault, match=f"The sandbox '{mode}' cannot be made here: .*No such file"):
        run_isolated([sys.executable, str(script)], Isolation(Mode(mode), tmp_path), seconds=120, preload=("json",))
    assert not (tmp_path / "ran").exists()


def test_under_landlock_torch_compiles_without_a_pool_unless_the_arena_says_otherwise(tmp_path: Path) -> None:
    """The pool's locks would have to be made in /dev/shm, where Landlock allows nothing."""
    name, slot = "TORCHINDUCTOR_COMPILE_THREADS", Slot((0,))
    for mode, threads in ((Mode.LANDLOCK, "1"), (Mode.BWRAP, None), (Mode.NONE, None)):
        assert process_environment(slot, {}, tmp_path, "cpu", mode).get(name) == threads
    assert process_environment(slot, {name: "4"}, tmp_path, "cpu", Mode.LANDLOCK)[name] == "4"
