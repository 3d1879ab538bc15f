"""What a genome can see and touch: its environment, its file descriptors, its cores."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest

from evolve.evaluation.executors import LocalExecutor, local_slots, usable_cores
from evolve.evaluation.worker import run_trial
from evolve.individual import Status

from .conftest import MakeTrial
from .genomes import after_opening

SECRETS = {
    "OPENAI_API_KEY": "sk-very-private",
    "HF_TOKEN": "hf-very-private",
    "AWS_SECRET_ACCESS_KEY": "aws-very-private",
    "GPT_PASSWORD": "gpt-very-private",
    "LC_PRIVATE": "lc-very-private",
}
LOOK = """
seen = [json.dumps(dict(os.environ)), subprocess.check_output(["env"], text=True)]
for pid in ("self", supervisor, warm):
    seen.append(open(f"/proc/{pid}/environ").read())
open(os.environ["SEEN"], "w").write("\\n".join(seen))
"""


@pytest.mark.parametrize("preload", [(), ("json",)], ids=["command", "warm"])
def test_no_secret_reaches_a_genome(
    make_trial: MakeTrial, preload: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    # The environment is part of what tells warm parents apart, so this one is started with the secrets set.
    environment = {"SEEN": str(tmp_path / "seen"), "GPT_DATA": "/data/corpus"}
    trial = make_trial(after_opening(LOOK), preload=preload, environment=environment, time_box=5.0)
    assert run_trial(trial).status is Status.OK
    seen = (tmp_path / "seen").read_text()
    assert "very-private" not in seen
    assert not any(name in seen for name in SECRETS)
    environ = json.loads(seen.split("\n")[0])
    assert (environ["GPT_DATA"], environ["GPT_SEED"], environ["GPT_BOX"]) == ("/data/corpus", "1", "5.0")
    assert environ["HOME"] == str(trial.scratch)
    assert environ["TMPDIR"] == str(trial.scratch / "tmp")
    assert environ["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize("preload", [(), ("json",)], ids=["command", "warm"])
def test_a_genome_has_no_descriptor_but_its_own(make_trial: MakeTrial, preload: tuple[str, ...]) -> None:
    look = """
descriptors = {}
for name in os.listdir("/proc/self/fd"):
    try:
        descriptors[name] = os.readlink(f"/proc/self/fd/{name}")
    except FileNotFoundError:
        pass  # the listing's own
print(json.dumps(descriptors))
privileges = "NoNewPrivs:\\t1" in open("/proc/self/status").read()
print(os.getcwd(), os.getsid(0) == os.getpid(), sys.stdin.read() == "", privileges)
"""
    leak = os.open("/dev/zero", os.O_RDONLY)
    os.set_inheritable(leak, True)
    trial = make_trial(after_opening(look), preload=preload)
    try:
        outcome = run_trial(trial)
    finally:
        os.close(leak)
    table, place = outcome.tail.split("\n")
    descriptors = json.loads(table)
    assert sorted(descriptors) == ["0", "1", "2", "3"]
    assert descriptors["0"] == "/dev/null"
    assert descriptors["1"] == descriptors["2"] != descriptors["3"]
    assert place == f"{trial.scratch} True True True"


@pytest.mark.skipif(len(usable_cores()) < 2, reason="needs two cores")
def test_two_trials_run_on_cores_of_their_own(make_trial: MakeTrial) -> None:
    look = 'print(json.dumps([sorted(os.sched_getaffinity(0)), os.environ["GPT_THREADS"]])); time.sleep(0.3)'
    slots = local_slots(2, 1)
    with LocalExecutor(slots) as executor:
        outcomes = list(executor.map(run_trial, [make_trial(after_opening(look)) for _ in range(4)]))
    seen = [json.loads(outcome.tail) for outcome in outcomes]
    assert {tuple(cores) for cores, _ in seen} == {slot.cores for slot in slots}
    assert {threads for _, threads in seen} == {"1"}
    # Two at a time, each in its own slot: where they overlap, they share nothing.
    for a, b in itertools.pairwise(outcomes):
        overlap = min(a.started + a.seconds["total"], b.started + b.seconds["total"]) - max(a.started, b.started)
        if overlap > 0.1:
            assert json.loads(a.tail)[0] != json.loads(b.tail)[0]
