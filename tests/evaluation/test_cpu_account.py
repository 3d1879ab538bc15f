"""CPU time of trees of processes, with and without parents that wait."""

from __future__ import annotations

import select
import subprocess
import sys

import pytest

from evolve.evaluation import cpu_account
from evolve.evaluation.cpu_account import TICKS, CpuAccount, Usage

CHILDREN = """
import os, signal, sys, time
if sys.argv[1] == "ignored":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(2):
    if os.fork() == 0:
        while time.process_time() < 0.4:
            pass
        os._exit(0)
    try:
        os.wait()
    except ChildProcessError:
        pass
print("done", flush=True)
sys.stdin.read()
"""


def looked_at(how: str) -> float:
    """What is counted of a parent whose two children use 0.4 s each."""
    command = [sys.executable, "-c", CHILDREN, how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        account = CpuAccount(parent.pid)
        assert parent.stdout is not None
        while not select.select([parent.stdout], [], [], 0.02)[0]:
            account.seconds()
        seconds = account.seconds()
        parent.communicate()
    return seconds


@pytest.mark.parametrize("how", ["waited", "ignored"])
def test_children_count_once_whether_or_not_they_are_waited_for(how: str) -> None:
    assert 0.65 < looked_at(how) < 1.2


class Table:
    """Processes as /proc would show them, and those of them that are found below the root."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.usage: dict[int, Usage] = {}
        self.below: list[int] = []
        monkeypatch.setattr(cpu_account, "usage", self.usage.get)
        monkeypatch.setattr(cpu_account, "descendants", lambda _: self.below)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    table = Table(monkeypatch)
    table.usage[1] = Usage(0, 5, 0)
    table.usage[2] = Usage(7, 100, 0)
    table.below = [2]
    return table


def ticks(account: CpuAccount) -> int:
    return round(account.seconds() * TICKS)


def test_what_was_waited_for_is_not_counted_twice(table: Table) -> None:
    account = CpuAccount(1)
    assert ticks(account) == 105
    del table.usage[2]
    table.below = []
    table.usage[1] = Usage(0, 5, 130)
    assert ticks(account) == 135


def test_what_is_lost_stays_as_it_was_seen(table: Table) -> None:
    account = CpuAccount(1)
    assert ticks(account) == 105
    del table.usage[2]
    table.below = []
    assert ticks(account) == 105
    table.usage[1] = Usage(0, 25, 0)
    assert ticks(account) == 125


def test_a_living_process_that_the_listing_missed_has_not_ended(table: Table) -> None:
    account = CpuAccount(1)
    assert ticks(account) == 105
    table.below = []
    table.usage[2] = Usage(7, 110, 0)
    assert ticks(account) == 115
    table.below = [2]
    assert ticks(account) == 115


def test_a_number_that_is_given_again_is_another_process(table: Table) -> None:
    account = CpuAccount(1)
    assert ticks(account) == 105
    table.usage[2] = Usage(9, 10, 0)
    assert ticks(account) == 115  # below the root as well
    table.below = []
    table.usage[2] = Usage(11, 50, 0)
    assert ticks(account) == 115  # somebody else's
