"""Every genome of tests/hostile/genomes that is about the score has the outcome that its head says, and its flags.

In the best sandbox there is, or in that of the variable EVOLVE_SANDBOX: what is found does not hang on the mode.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from evolve.evaluation.trial import Trial
from evolve.evaluation.worker import run_trial
from evolve.flags import new_flags
from evolve.individual import Outcome, Status
from evolve.sandbox.paths import SOURCES
from evolve.sandbox.probe import choose
from gpt import corpus as corpora
from gpt.prepare import prepare
from tests.gpt.text import write_corpus

from .conftest import SUPPORT
from .expectation import Hostile, hostile_genomes

GENOMES = {hostile.name: hostile for hostile in hostile_genomes() if hostile.arena == "gpt"}
HONEST = GENOMES["honest"]
FLAGS = re.compile(r"^# flags: (.+)$", re.MULTILINE)  # what must be flagged; without it, nothing
# What no genome of this kind learns in 0.3 s, and every false score is below.
WORST_FALSE_SCORE = 2.0
MODE = choose(os.environ.get("EVOLVE_SANDBOX", "auto"))
PRELOAD = ("torch", "torch._dynamo", "networkx", "torch.export._trace", "gpt", "gpt.run", "gpt.rescore")


@pytest.fixture(scope="module")
def let_loose(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Outcome]:
    """Train a genome on a small corpus, in a sandbox; whatever it scores is scored again."""
    root = tmp_path_factory.mktemp("score")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVOLVE_CACHE", str(root / "cache"))
        data = prepare(corpora.folder(write_corpus(root / "text")), vocab_size=300).summary()
    parts = data["parts"]
    numbers = iter(range(1000))

    def run(hostile: Hostile, **changes: object) -> Outcome:
        trial = Trial(
            individual=0,
            replicate=0,
            seed=1,
            source=hostile.source,
            script="train.py",
            folder=str(root / "trials" / str(next(numbers))),
            preload=PRELOAD,
            time_box=0.3,
            startup=30.0,
            grace=1.0,
            scoring=60.0,
            environment={
                "GPT_DATA": data["data"],
                "GPT_SEQUENCE_LENGTH": "16",
                "GPT_VALIDATION_TOKENS": "640",
                "PYTHONPATH": os.pathsep.join(map(str, (SOURCES, SUPPORT))),
            },
            sandbox=MODE,
            readable=(data["data"],),
            hidden=tuple(parts.values()),
            opening=(parts["train"],),
            closing=(parts["search"],),
            scorer="gpt.rescore",
            bar=math.inf,
        )
        return run_trial(replace(trial, **{**hostile.trial, **changes}))  # type: ignore[arg-type]

    return run


@pytest.mark.parametrize("hostile", GENOMES.values(), ids=list(GENOMES))
def test_it_has_the_outcome_that_it_must_get(hostile: Hostile, let_loose: Callable[..., Outcome]) -> None:
    outcome = let_loose(hostile)
    hostile.check(outcome, MODE)
    if outcome.status is Status.OK:
        assert outcome.score is not None and outcome.score > WORST_FALSE_SCORE
        assert outcome.verified in ({""} if "bar" in hostile.trial else {"graph", "code"})
    if hostile is HONEST:
        assert outcome.verified == "graph"


@pytest.mark.parametrize("hostile", GENOMES.values(), ids=list(GENOMES))
def test_its_edit_is_flagged(hostile: Hostile) -> None:
    flags = new_flags(hostile.source, [HONEST.source])
    expected = FLAGS.search(hostile.source)
    assert bool(flags) == bool(expected), flags
    assert not expected or any(re.search(expected[1], flag) for flag in flags), flags


def test_a_model_is_scored_by_its_code_where_it_is_no_graph(let_loose: Callable[..., Outcome]) -> None:
    branching = HONEST.source.replace(
        "def build_model(run):\n    return Tiny(run.vocab_size).to(run.device)",
        "class Branching(Tiny):\n"
        "    def forward(self, tokens):\n"
        "        return super().forward(tokens) if int(tokens.sum()) >= 0 else None\n\n\n"
        "def build_model(run):\n    return Branching(run.vocab_size).to(run.device)",
    )
    outcome = let_loose(replace(HONEST, source=branching))
    assert (outcome.status, outcome.verified) == (Status.OK, "code"), outcome.reason


def test_what_is_not_good_enough_is_not_scored_again(let_loose: Callable[..., Outcome]) -> None:
    outcome = let_loose(HONEST, bar=0.5)
    assert (outcome.status, outcome.verified) == (Status.OK, "") and "again" not in outcome.seconds


def test_a_genome_needs_no_files_of_tokens(let_loose: Callable[..., Outcome]) -> None:
    """All it is trained and scored on comes through the harness, when it is time."""
    blind = HONEST.source.replace("    train(model", "    open(run._corpus.folder / 'train.bin')\n    train(model")
    outcome = let_loose(replace(HONEST, source=blind), bar=None)
    if MODE == "none":
        assert outcome.status is Status.OK
    else:
        assert outcome.status is Status.CRASHED and "train.bin" in outcome.reason
