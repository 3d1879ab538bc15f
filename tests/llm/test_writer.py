"""The writer inside a real engine and archive, with trials that are functions and models behind a real server."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from evolve import arena
from evolve.archive.repository import Archive
from evolve.bandit import Arm
from evolve.breeding import Operators
from evolve.engine import Evolution, search
from evolve.evaluation.dry_run import DryRun, failure
from evolve.evaluation.trial import Cancelled, Trial
from evolve.individual import Individual, Offspring, Outcome, Status
from evolve.llm.budget import Budget
from evolve.llm.ensemble import Ensemble, chosen
from evolve.llm.ledger import CATALOGUE, Scale, arm_of, past, spent
from evolve.llm.model import Model
from evolve.llm.prompting import Prompts
from evolve.llm.writer import Options, Writer
from evolve.rundir import RunDirectory
from evolve.toolbox import make_toolbox
from evolve.trials import Data, TrialMaker
from tests.llm.server import BLOCK, Answer, ModelServer, constant, narrow
from tests.stub import TOY, Never, Silent, evaluate, open_archive

toy = arena.load(str(TOY))


class Rig:
    """A search of the toy arena with models `a` (and more); `said` is what the user was told."""

    def __init__(self, httpserver: HTTPServer, folder: Path, answers: dict[str, Answer], **options: object) -> None:
        self.server = ModelServer(httpserver, answers)
        environment = {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": self.server.url}
        directory = RunDirectory(folder)
        self.archive = open_archive(directory.archive, toy)
        toolbox = make_toolbox(self.archive)
        toolbox.register("evaluate", evaluate)
        self.evolution = Evolution(
            self.archive, toolbox, TrialMaker(toy, Data("toy", "toy", ""), directory), pop=3, gens=6, seed=1
        )
        self.said: list[str] = []
        self.writer = Writer(
            self.archive,
            toy,
            Ensemble([Model(name) for name in answers], environment),
            Budget(spent=spent(e for _, e in self.archive.exchanges())),
            Options(Prompts(), ahead=3, **options),  # type: ignore[arg-type]
            seed=1,
            operators=None,
            dry_run=None,
            say=self.said.append,
            give_up=self.said.append,
        )
        self.evolution.sources = [self.writer]

    def run(self) -> None:
        with ThreadPoolExecutor(1) as pool:
            search(self.evolution, pool, 1, Silent(), Never())
        self.writer.close()

    def measure(self, score: float) -> int:
        """Ask for a trial and tell its outcome; the individual's id."""
        trial = self.evolution.ask()
        for _ in range(200):
            if trial is not None:
                break
            self.evolution.prepare()
            time.sleep(0.02)
            trial = self.evolution.ask()
        assert trial is not None
        self.evolution.tell(Outcome(Status.OK, score, individual=trial.individual))
        return trial.individual


def test_a_search_by_models_alone_ends_with_its_plan_and_its_bandit_is_read_back(
    httpserver: HTTPServer, tmp_path: Path
) -> None:
    rig = Rig(httpserver, tmp_path, {"a": narrow, "b": narrow})
    rig.run()
    born = [one for one in rig.archive.individuals.values() if one.id]
    assert len(born) == 18 and {one.model for one in born} >= {"a", "b"}
    live = rig.writer._bandit.table()
    rig.archive.close()
    with Archive.open(RunDirectory(tmp_path).archive) as archive:
        rows = past(archive, archive.exchanges(), Scale())
        assert sum(one.chosen for one in live) == len(rows) >= 18
        assert {row.arm for row in rows} == {one.arm for one in live if one.chosen}
        assert arm_of(archive.individuals[0]) is None
        assert arm_of(archive.individuals[1]) == Arm(born[0].model, "mutation", born[0].operator)


def test_a_draft_whose_parent_left_the_population_is_dropped_and_asked_again(
    httpserver: HTTPServer, tmp_path: Path
) -> None:
    gate = threading.Event()

    def slow(messages: list[dict[str, str]], number: int) -> str:
        gate.wait(10)
        return narrow(messages, number)

    rig = Rig(httpserver, tmp_path, {"a": slow})
    rig.measure(2.0)  # the seed genome
    rig.evolution.prepare()
    assert rig.evolution.ask() is None  # drafts of it are under way
    seed = rig.archive.individuals[0]
    rig.evolution.population = [one for one in rig.evolution.population if one is not seed]
    other = rig.archive.add(narrow_offspring(seed.genome))
    rig.archive.record(other, Outcome(Status.OK, 1.0))
    rig.evolution.population = [other]
    gate.set()
    born = rig.archive.individuals[rig.measure(0.9)]
    assert born.parents == (other.id,)
    rig.writer.close()
    stale = [e for one, e in rig.archive.exchanges() if e.get("rejection") == "stale"]
    assert len(stale) == 3 and all(e["reply"] for e in stale)
    rig.archive.close()


def narrow_offspring(genome: str) -> Offspring:
    return Offspring(genome.replace("DEPTH = 3", "DEPTH = 7"), (0,), "catalogue", "Seven layers", 1)


def test_an_edit_that_was_made_before_is_sent_back(httpserver: HTTPServer, tmp_path: Path) -> None:
    def forgetful(messages: list[dict[str, str]], number: int) -> str:
        if len(messages) != 2:
            return narrow(messages, number)
        old = constant("WIDTH", messages[1]["content"])
        return BLOCK.format(idea="Narrow it.", old=old, new="WIDTH = 0.9  # range: 0.5..8 log")

    rig = Rig(httpserver, tmp_path, {"a": forgetful})
    rig.run()
    genomes = [one.genome for one in rig.archive.individuals.values()]
    assert len(set(genomes)) == len(genomes) == 19
    assert sum("WIDTH = 0.9" in genome for genome in genomes) >= 1
    repeated = [e for _, e in rig.archive.exchanges() if e.get("repaired") == "repeated"]
    assert repeated and all("was tried before" in e["reason"] for e in repeated)
    rig.archive.close()


def test_the_direction_is_read_anew_for_each_prompt(httpserver: HTTPServer, tmp_path: Path) -> None:
    program = tmp_path / "program.md"
    program.write_text("Look at the width.")
    rig = Rig(httpserver, tmp_path, {"a": narrow}, program=program)
    rig.measure(2.0)
    rig.measure(1.9)
    program.write_text("Now look at the depth.")
    for number in range(5):  # three of them were asked for before
        rig.measure(1.8 - number / 100)
    rig.writer.close()
    told = [one["messages"][0]["content"] for one in rig.server.requests]
    assert "Look at the width." in told[0] and "Now look at the depth." in told[-1]
    rig.archive.close()


def test_models_that_rest_are_told_once_and_without_them_the_search_gives_up(
    httpserver: HTTPServer, tmp_path: Path
) -> None:
    rig = Rig(httpserver, tmp_path, {"a": narrow})
    rig.measure(2.0)
    rig.server.answers.clear()  # every request is a 404 from now on
    for _ in range(100):
        rig.evolution.prepare()
        if rig.said:
            break
        time.sleep(0.02)
    assert "no language model answers" in rig.said[-1] and "404" in rig.said[-1]
    unwritten = [e for _, e in rig.archive.exchanges() if e.get("rejection") == "unwritten"]
    assert unwritten and all(e["input_tokens"] == 0 for e in unwritten)
    rig.writer.close()
    rig.archive.close()


def test_boxes_and_replies_share_a_scale() -> None:
    scale = Scale()
    assert scale.cost({}, boxed=True) == 1.0
    assert scale.cost({"input_tokens": 90, "output_tokens": 10, "money": 1.0}, boxed=True) == 2.0
    assert scale.cost({"input_tokens": 90, "output_tokens": 10, "money": 3.0}, boxed=False) == 1.5
    assert scale.cost({"input_tokens": 190, "output_tokens": 10}, boxed=False) == pytest.approx(200 * 3 / 400)
    assert CATALOGUE.model is None


def test_names_weights_and_tables_make_the_ensemble() -> None:
    tables = [Model("b", input_price=1.0, output_price=2.0, weight=3.0), Model("c")]
    assert chosen([], tables) == tuple(tables)
    assert [m.name for m in chosen(["org/a@2", "b"], tables)] == ["org/a", "b"]
    assert chosen(["a@2.5"], []) == (Model("a", weight=2.5),)
    assert chosen(["b"], tables)[0].weight == 3.0 and chosen(["b@1"], tables)[0].weight == 1.0
    assert chosen(["b@1"], tables)[0].input_price == 1.0
    assert chosen(["user@host"], []) == (Model("user@host"),)


def trial(genome: str, number: int) -> Trial:
    return Trial(-1, 0, 0, genome, "train.py", f"/nowhere/{number}", time_box=3.0)


def test_a_dry_run_tells_failures_before_the_scoring_only() -> None:
    reached = Outcome(Status.TIMED_OUT, seconds={"startup": 0.1, "training": 0.1, "scoring": 0.1})
    assert failure(reached) == "" and failure(Outcome(Status.OK, 1.0)) == ""
    crashed = failure(Outcome(Status.CRASHED, reason="ended with code 1", tail="\n".join(map(str, range(50)))))
    assert "crashed: ended with code 1" in crashed and crashed.endswith("\n49") and "\n30\n" not in crashed
    assert "took too long" in failure(Outcome(Status.TIMED_OUT, reason="asked for no batch"))
    seen = []

    def run(trial: Trial) -> Outcome:
        seen.append(trial)
        return reached

    with ThreadPoolExecutor(1) as pool:
        dry = DryRun(trial, run, pool)
        assert dry("A = 1\n") == "" and dry("A = 2\n") == ""
    assert seen[0].folder != seen[1].folder and seen[0].time_box < 0.1 and seen[0].grace == 5.0
    with pytest.raises(Cancelled):
        dry("A = 3\n")


def test_operators_fill_the_slots_of_models_that_are_slow(httpserver: HTTPServer, tmp_path: Path) -> None:
    gate = threading.Event()

    def slow(messages: list[dict[str, str]], number: int) -> str:
        gate.wait(10)
        return narrow(messages, number)

    rig = Rig(httpserver, tmp_path, {"a": slow})
    rig.writer._operators = Operators()
    with ThreadPoolExecutor(1) as pool:
        search(rig.evolution, pool, 1, Silent(), Never())
    assert {one.operator for one in rig.archive.individuals.values()} <= {"seed", "catalogue", "crossover"}
    gate.set()
    rig.writer.close()
    unused = [e for _, e in rig.archive.exchanges() if e.get("rejection") == "unused"]
    assert 1 <= len(unused) <= 3
    rig.archive.close()


def conflicting(rig: Rig) -> None:
    """Two children of the seed genome that both changed WIDTH, and more besides."""
    seed = rig.archive.individuals[0].genome
    for number, (width, depth) in enumerate(((3.0, 6), (4.0, 5)), 1):
        genome = seed.replace("WIDTH = 2.0", f"WIDTH = {width}").replace("DEPTH = 3", f"DEPTH = {depth}")
        one = rig.archive.add(Offspring(genome, (0,), "tune", f"Width {width}", 1))
        rig.archive.record(one, Outcome(Status.OK, 1.0 + number / 10))
        rig.evolution.population.insert(number - 1, one)
    rig.evolution.evaluations = 20


def crossed(rig: Rig) -> Individual:
    """The first offspring of the crossover arm."""
    rig.writer._possible = lambda evolution, parent: [Arm("a", "crossover")]  # type: ignore[method-assign]
    return rig.archive.individuals[rig.measure(0.9)]


def test_conflicts_of_a_crossover_are_resolved_hunk_by_hunk(httpserver: HTTPServer, tmp_path: Path) -> None:
    def join(messages: list[dict[str, str]], number: int) -> str:
        text = messages[-1]["content"]
        assert "Width 3.0" in text and "Width 4.0" in text and "(gain +" in text
        if "WIDTH = " in text:
            return "Idea: meet in the middle.\n\n```python\n    WIDTH = 3.5  # range: 0.5..8 log\n```\n"
        return "I cannot merge these."

    rig = Rig(httpserver, tmp_path, {"a": join})
    rig.measure(2.0)
    conflicting(rig)
    child = crossed(rig)
    assert child.operator == "crossover" and child.model == "a" and child.parents == (1, 2)
    assert "\nWIDTH = 3.5  # range" in child.genome  # at the hunk's indentation
    assert "\nDEPTH = 6 " in child.genome  # the fitter parent's
    assert child.cost["output_tokens"] > 0 and arm_of(child) == Arm("a", "crossover")
    rig.writer.close()
    unresolved = [e["unresolved"] for one, e in rig.archive.exchanges() if one is child and "unresolved" in e]
    assert unresolved == ["refusal"]
    rig.archive.close()


def test_an_endpoint_that_fails_in_a_crossover_leaves_the_fitter_parents_text(
    httpserver: HTTPServer, tmp_path: Path
) -> None:
    rig = Rig(httpserver, tmp_path, {"a": narrow})
    rig.measure(2.0)
    conflicting(rig)
    one, other = rig.archive.individuals[1], rig.archive.individuals[2]
    genome = other.genome.replace("BIAS = 0.5", "BIAS = 0.1")
    third = rig.archive.add(Offspring(genome, (0,), "tune", "Another bias", 1))
    rig.archive.record(third, Outcome(Status.OK, 1.15))
    rig.evolution.population = [one, third]
    rig.server.answers.clear()
    child = crossed(rig)
    assert "WIDTH = 3.0" in child.genome and "BIAS = 0.1" in child.genome
    rig.writer.close()
    rig.archive.close()


def test_what_is_on_its_way_when_a_search_ends_counts_as_spent(
    httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    def slow(messages: list[dict[str, str]], number: int) -> str:
        gate.wait(10)
        return narrow(messages, number)

    rig = Rig(httpserver, tmp_path, {"a": slow})
    rig.measure(2.0)
    rig.evolution.prepare()
    monkeypatch.setattr("evolve.llm.writer.CLOSING_WAIT", 0.05)
    rig.writer.close()
    gate.set()
    unused = [e for _, e in rig.archive.exchanges() if e.get("rejection") == "unused"]
    assert len(unused) == 3
    assert spent(unused).tokens >= rig.writer._budget.spent.tokens + 3 * 8192
    rig.archive.close()
