"""Small scripts that stand in for genomes: they write the report's events themselves, and misbehave."""

from __future__ import annotations

import os
import time
from pathlib import Path

PRELUDE = """
import json, os, signal, subprocess, sys, time

def say(event, **values):
    os.write(int(os.environ["GPT_REPORT_FD"]), (json.dumps({"event": event, **values}) + "\\n").encode())

def parent(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])

def note(*pids):
    with open("../../pids.draft", "w") as file:  # in the test's folder, two above the scratch folder
        file.write(" ".join(map(str, pids)))
    os.rename("../../pids.draft", "../../pids")

supervisor = os.getppid()
warm = parent(supervisor)
box = float(os.environ["GPT_BOX"])
"""

START = PRELUDE + 'say("start", device="cpu", corpus="c0ffee")\n'
OPEN = START + 'opened = time.monotonic(); say("open")\n'
CLOSE = 'say("close", training_seconds=time.monotonic() - opened, steps=3, tokens=96)\n'
RESULT = 'say("result", val_bpb=2.5, parameters=7, peak_memory_mb=1.0, constants={"LR": 0.1})\n'
TRAIN = """
for step in range(1, 4):
    time.sleep(box / 3)
    say("point", progress=step / 3, loss=4.0 - step, step=step)
"""
HONEST = OPEN + TRAIN + CLOSE + RESULT + 'print("val_bpb: 2.5")\n'

# A child in a session of its own, a double-forked grandchild, and a main process that will not be told.
CLINGING = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(writing, str(os.getpid()).encode())
        while True:
            time.sleep(600)
    os._exit(0)
note(os.getpid(), supervisor, warm, child.pid, int(os.read(reading, 20)))
"""


def after_opening(body: str) -> str:
    """A genome that does something in its box and then goes on honestly."""
    return OPEN + body + "\n" + CLOSE + RESULT


def alive(pid: int) -> bool:
    """True where the process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def gone_within(pids: list[int], seconds: float) -> bool:
    """True as soon as none of the processes is alive."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(map(alive, pids)):
            return True
        time.sleep(0.01)
    return False


def noted(path: str | os.PathLike[str], seconds: float = 10.0) -> list[int]:
    """The process ids that a genome wrote with `note`."""
    until = time.monotonic() + seconds
    while not Path(path).exists():
        assert time.monotonic() < until, f"no genome wrote {path}"
        time.sleep(0.01)
    return [int(word) for word in Path(path).read_text().split()]
