"""Compiled code that runs share: only the seed genome's, a copy for each."""

from __future__ import annotations

import json
from pathlib import Path

from evolve.evaluation.worker import run_trial
from evolve.individual import Outcome, Status

from .conftest import MakeTrial
from .genomes import HONEST

# Shows what it finds, then writes over that and adds to it, in both caches.
COMPILING = (
    HONEST
    + """
from pathlib import Path
inductor, triton = (Path(os.environ[name]) for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"))
assert inductor in triton.parents and Path.cwd() in inductor.parents
print(json.dumps({path.name: path.read_text() for path in sorted(inductor.rglob("*")) if path.is_file()}))
triton.mkdir(exist_ok=True)
for path in (inductor / "graph", triton / "kernel"):
    path.write_text(os.environ["WHO"])
(inductor / os.environ["WHO"]).write_text("")
"""
)


def seen(outcome: Outcome) -> object:
    assert outcome.status is Status.OK, outcome.reason
    return json.loads(outcome.tail.splitlines()[-1])


def test_what_the_seed_genome_compiled_is_there_for_all_and_nothing_else(make_trial: MakeTrial, tmp_path: Path) -> None:
    shared = tmp_path / "compiled" / "torch"

    def run(who: str, *, fills: bool = False) -> object:
        trial = make_trial(COMPILING, compiled=str(shared), fills_cache=fills, environment={"WHO": who})
        return seen(run_trial(trial))

    assert run("early") == {}
    assert not shared.exists()
    assert run("seed", fills=True) == {}
    by_seed = {"graph": "seed", "kernel": "seed", "seed": ""}
    for who in ("child", "hostile", "child"):
        assert run(who) == by_seed
    assert run("late", fills=True) == by_seed  # what is there is never written over
    assert {path.name for path in shared.rglob("*") if path.is_file()} == set(by_seed)


def test_a_run_that_failed_leaves_no_half_of_a_cache(make_trial: MakeTrial, tmp_path: Path) -> None:
    shared = tmp_path / "compiled"
    source = COMPILING + "os._exit(4)\n"
    trial = make_trial(source, compiled=str(shared), fills_cache=True, environment={"WHO": "seed"})
    assert run_trial(trial).status is Status.CRASHED
    assert not shared.exists()


def test_an_arena_without_it_sets_nothing(make_trial: MakeTrial) -> None:
    looking = HONEST + "assert 'TORCHINDUCTOR_CACHE_DIR' not in os.environ\n"
    assert run_trial(make_trial(looking)).status is Status.OK
