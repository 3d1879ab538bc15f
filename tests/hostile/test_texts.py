"""Texts that are hard to read, as a trial, as an offspring, and as a parent for every operator: the engine goes on."""

from __future__ import annotations

import contextlib
import random
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from evolve import strategies
from evolve.archive.repository import Archive
from evolve.breeding import Source
from evolve.errors import UserError
from evolve.evaluation.trial import Trial
from evolve.evaluation.worker import run_trial
from evolve.individual import Individual, MinimisedFitness, Offspring, Outcome, Status
from evolve.llm.author import Author
from evolve.llm.checkout import read_change
from evolve.llm.memory import fingerprint
from evolve.llm.rejection import ReplyRejected
from evolve.llm.replies import apply, read_reply
from evolve.variation.merge import merge
from evolve.variation.operators import Inapplicable, catalogue_mutation, random_settings
from evolve.variation.source import LARGEST, Unparsable, compiles, same_program, syntax_tree

from .. import stub
from .texts import HEAD, TEXTS

AS_TRIALS = ("a line of 5 MB", "no UTF-8", "a null byte", "open brackets", "signs", "attributes", "a row of elif")
EVERY_TEXT = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
REFUSALS = (Inapplicable, ReplyRejected, Unparsable, UserError)  # said, counted, and lived with


@pytest.mark.parametrize("name", AS_TRIALS)
def test_it_is_a_trial_like_any_other(name: str, tmp_path: Path) -> None:
    trial = Trial(0, 0, 1, TEXTS[name], "train.py", str(tmp_path / "trial"), preload=("json",), startup=60.0)
    outcome = run_trial(trial)
    assert outcome.status in (Status.CRASHED, Status.OUT_OF_MEMORY), outcome
    assert len(outcome.tail) < 20_000
    assert Outcome.from_record(asdict(outcome)) == outcome


@EVERY_TEXT
def test_operators_refuse_it_or_make_something_of_it(text: str) -> None:
    parent = Individual(
        0,
        (),
        operator="seed",
        idea="A parent",
        generation=0,
        commit="",
        read_genome=lambda _: text,
        fitness=MinimisedFitness(),
    )
    plain = HEAD.replace("3", "4")
    for operator in (catalogue_mutation, random_settings):
        with contextlib.suppress(*REFUSALS):
            assert operator(parent, random.Random(0)).genome
    for base, ours, theirs in ((HEAD, text, plain), (HEAD, plain, text), (text, text + "a = 1\n", text + "b = 2\n")):
        with contextlib.suppress(*REFUSALS):
            assert merge(base, ours, theirs).text
    with contextlib.suppress(*REFUSALS):
        fingerprint(HEAD, text)
    with contextlib.suppress(*REFUSALS):
        same_program(text, HEAD)


@EVERY_TEXT
def test_as_an_answer_it_is_taken_or_refused(text: str, tmp_path: Path) -> None:
    """Of a language model as a block and as a file, and of an agent as a file."""
    block = f"<<<<<<< SEARCH\nDEPTH = 3  # range: 1..12\n=======\n{text}>>>>>>> REPLACE\n"
    for reply in (f"Idea: try\n```python\n{text}```\n", f"Idea: try\n\n{block}"):
        with contextlib.suppress(*REFUSALS):
            child = apply(read_reply(reply).edit, HEAD)
            Author.check(_Checks(), child, HEAD)
    (tmp_path / "train.py").write_bytes(text.encode("utf-8", "surrogatepass"))
    (tmp_path / "individual.json").write_text("{}")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    with contextlib.suppress(*REFUSALS):
        assert read_change(tmp_path, "train.py", HEAD, b"{}").genome


class _Checks:
    """What `Author.check` needs of an author that has no archive and no workers."""

    _dry_run = None

    @staticmethod
    def _repeated(parent: str, child: str) -> None: ...


def test_a_source_that_is_too_long_is_not_parsed() -> None:
    text = "x = 1\n" * (LARGEST // 6 + 1)
    assert not compiles(text)
    with pytest.raises(Unparsable, match=f"longer than {LARGEST} characters"):
        syntax_tree(text)
    assert compiles(text[: LARGEST - LARGEST % 6])


def test_a_search_whose_best_are_such_texts_goes_on(tmp_path: Path) -> None:
    """They win every tournament: as parents they come up in every birth, and are archived, resumed and replaced."""
    texts = [text for text in TEXTS.values() if _is_archivable(text)]
    assert len(texts) > 15

    class Flood:
        """Writes one of the texts at every second birth."""

        def take(self, evolution: object) -> Offspring | None:
            number = len(evolution.archive.individuals)  # type: ignore[attr-defined]
            if number % 2 == 0 or not texts:
                return None
            return Offspring(texts.pop(), (0,), "flood", "A hostile text", 1)

        def prepare(self, evolution: object) -> None: ...

        def born(self, individual: Individual) -> None: ...

        def told(self, individual: Individual, outcome: Outcome) -> None: ...

    def evaluate(trial: Trial) -> Outcome:
        if "def score" not in trial.source:  # no descendant of the seed genome
            return Outcome(Status.OK, 0.5, individual=trial.individual, replicate=trial.replicate, seed=trial.seed)
        return stub.evaluate(trial)

    def sources(archive: Archive) -> list[Source]:
        return [Flood(), strategies.operators(strategies.STRATEGIES["evolve"], archive)]

    done = stub.evolve(tmp_path, pop=6, gens=7, function=evaluate, sources_of=sources)
    assert done.births == 42 and not texts
    again = stub.evolve(tmp_path, pop=6, gens=8, function=evaluate)
    assert again.births == 48
    assert replace(done.archive.individuals[1].outcomes[0]) == again.archive.individuals[1].outcomes[0]


def _is_archivable(text: str) -> bool:
    """Whether it could ever be archived: every way in reads UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
