"""Ablation and pruning of lineages whose true effects are known."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from evolve.archive import Archive
from evolve.individual import Individual, Offspring, Outcome, Status
from evolve.lineages.ablate import Extent, ablate, ablated
from evolve.lineages.paired import Verdict
from evolve.lineages.prune import Fate, prune, pruned
from evolve.lineages.removal import Removal, without
from evolve.lineages.tables import ablation_lines, pruning_lines
from tests.lineages.synthetic import evaluator, grow, seed_genome, switched, workplace

EFFECTS = {"S0": 0.10, "S1": 0.0, "S2": -0.10, "S3": 0.20, "S4": 0.0}


def change(archive: Archive, parent: Individual, **values: int) -> Individual:
    idea = ", ".join(f"Set {name} to {value}" for name, value in values.items())
    text = switched(parent.genome, **values)
    return archive.add(Offspring(text, (parent.id,), "catalogue", idea, parent.generation + 1))


def test_an_ablation_tells_what_each_step_contributes(tmp_path: Path) -> None:
    with workplace(tmp_path, evaluator(EFFECTS)) as place:
        grow(place.archive, 5)
        result = ablate(place, "5", 4)
        verdicts = [step.gain.verdict for step in result.steps if step.gain is not None]
        assert verdicts == [Verdict.REAL, Verdict.NOISE, Verdict.HARMFUL, Verdict.REAL, Verdict.NOISE]
        third = place.archive.resolve(str(result.steps[2].ablated))
        assert third.genome == switched(seed_genome(5), S0=1, S1=1, S3=1, S4=1)
        assert (third.operator, third.parents) == ("ablation", (5,))
        assert third.derivation == {"without": [place.archive.individuals[3].commit]}
        assert result.missing == 0
        assert "2 real, 2 within noise, 1 harmful" in "\n".join(ablation_lines(result))
        assert ablate(place, "5", 4) == result
        assert len(place.archive.derived) == 5
    with Archive.open(tmp_path / "archive.git") as archive:
        assert ablated(archive, "5") == result
        assert archive.resolve("d2").commit == third.commit
        assert [one.name for one in archive.lineage(archive.resolve("d2"))] == [
            "#0",
            "#1",
            "#2",
            "#3",
            "#4",
            "#5",
            "d2",
        ]


def test_what_was_changed_again_is_a_conflict_and_what_was_undone_is_nothing(tmp_path: Path) -> None:
    with workplace(tmp_path, evaluator(EFFECTS)) as place:
        archive = place.archive
        one = archive.add(Offspring(seed_genome(3), (), "seed", "The seed genome", 0))
        for values in ({"S0": 1}, {"S1": 1, "S2": 1}, {"S0": 2}, {"S1": 0}, {"S2": 5}):
            one = change(archive, one, **values)
        result = ablate(place, "5", 3)
        first, second, third, fourth, fifth = result.steps
        assert (first.conflicts, first.changed_by) == (("S0",), ("#3",))
        assert (second.conflicts, second.changed_by) == (("S2",), ("#5",))
        assert third.ablated is not None and fourth.ablated is not None and fifth.ablated is not None
        assert [step.extent for step in result.steps] == [Extent.CONFLICT, Extent.CONFLICT, *[Extent.WHOLE] * 3]
        one = change(archive, one, S2=1)
        undone = ablate(place, "6", 2)
        assert undone.steps[4].extent is Extent.NOTHING and undone.steps[4].gain is None
        text = "\n".join(ablation_lines(undone))
        assert "[conflict: S0 stays, changed again by #3]" in text and "nothing left" in text


def test_what_is_left_of_a_step_is_taken_out_where_the_rest_was_changed_again(tmp_path: Path) -> None:
    with workplace(tmp_path, evaluator({"S0": 0.1, "S1": 0.2})) as place:
        one = place.archive.add(Offspring(seed_genome(2), (), "seed", "The seed genome", 0))
        for values in ({"S0": 1, "S1": 1}, {"S0": 2}):
            one = change(place.archive, one, **values)
        result = ablate(place, "2", 4)
        first, second = result.steps
        assert (first.extent, first.conflicts, first.changed_by) == (Extent.PART, ("S0",), ("#2",))
        rest = place.archive.resolve(str(first.ablated))
        assert rest.genome == switched(one.genome, S1=0)
        assert rest.idea == "Without #1 (but for S0): Set S0 to 1, Set S1 to 1"
        assert first.gain is not None and first.gain.low < 0.2 < first.gain.high
        assert second.extent is Extent.WHOLE
        assert "[in part: S0 stays, changed again by #2]" in "\n".join(ablation_lines(result))


def test_a_step_without_which_nothing_runs_is_needed(tmp_path: Path) -> None:
    function = evaluator({})

    def fragile(trial):  # type: ignore[no-untyped-def]
        if "S0 = 0" in trial.source and "S1 = 1" in trial.source:
            ending = {"individual": trial.individual, "replicate": trial.replicate, "seed": trial.seed}
            return Outcome(Status.CRASHED, reason="S1 rests on S0", **ending)
        return function(trial)

    with workplace(tmp_path, fragile) as place:
        grow(place.archive, 3)
        first, *others = ablate(place, "3", 3).steps
        assert first.gain is not None and first.gain.verdict is Verdict.NEEDED
        assert first.failures == ("crashed",) * 3
        assert all(step.gain is not None and step.gain.verdict is Verdict.NOISE for step in others)
        result = prune(place, "3", 3)
        assert [step.fate for step in result.steps][1:] == [Fate.DROPPED] * 2
        assert result.steps[0].fate is Fate.REAL


def test_removing_all_steps_gives_the_seed_genome_whatever_they_changed_again() -> None:
    texts = [seed_genome(4)]
    for values in ({"S0": 1}, {"S0": 2, "S1": 1}, {"S1": 0}, {"S3": 7}):
        texts.append(switched(texts[-1], **values))
    line = [fake(id, text) for id, text in enumerate(texts)]
    steps = list(pairwise(line))
    assert without(texts[-1], steps) == Removal(texts[0], {})
    assert without(texts[-1], steps[:1]) == Removal(texts[-1], {1: ("S0",)})
    assert without(texts[-1], steps[:2]).conflicts == {}


def fake(id: int, text: str) -> Individual:
    from evolve.individual import MinimisedFitness

    about = {"operator": "", "idea": "", "generation": 0, "commit": ""}
    return Individual(id, (), read_genome=lambda _: text, fitness=MinimisedFitness(), **about)  # type: ignore[arg-type]


def test_pruning_leaves_what_matters(tmp_path: Path) -> None:
    with workplace(tmp_path, evaluator(EFFECTS)) as place:
        grow(place.archive, 5)
        result = prune(place, "5", 4)
        assert [step.fate for step in result.steps] == [
            Fate.REAL,
            Fate.DROPPED,
            Fate.DROPPED,
            Fate.REAL,
            Fate.DROPPED,
        ]
        one = place.archive.resolve("pruned/5")
        assert one.name == result.pruned
        assert one.genome == switched(seed_genome(5), S0=1, S3=1)
        assert (one.operator, one.parents) == ("prune", (5,))
        assert result.gain is not None and result.gain.runs == 8
        assert result.gain.low < 0.1 < result.gain.high
        assert result.size == (10, 4)
        studies = len(place.archive.studies())
        assert prune(place, "5", 4) == result
        assert len(place.archive.studies()) == studies
        text = "\n".join(pruning_lines(result))
        assert "3 of 5 steps, the branch pruned/5: 4 changed lines instead of 10" in text
        assert "+S3 = 1" in text and "+S4" not in text
    with Archive.open(tmp_path / "archive.git") as archive:
        assert pruned(archive, "5", 4) == result


def test_pruning_drops_nothing_on_too_few_runs(tmp_path: Path) -> None:
    with workplace(tmp_path, evaluator({})) as place:
        grow(place.archive, 1)
        result = prune(place, "1", 2)
        assert [step.fate for step in result.steps] == [Fate.UNDECIDED]
        assert result.finished and result.pruned is None
        assert "No step can go" in "\n".join(pruning_lines(result))


def test_pruning_drops_what_is_left_of_a_step(tmp_path: Path) -> None:
    """#1 turns on two switches; #2 changes one of them again and matters, the other one does nothing."""
    with workplace(tmp_path, evaluator({"S0": 0.2})) as place:
        one = place.archive.add(Offspring(seed_genome(2), (), "seed", "The seed genome", 0))
        for values in ({"S0": 1, "S1": 1}, {"S0": 2}):
            one = change(place.archive, one, **values)
        result = prune(place, "2", 4)
        assert [step.fate for step in result.steps] == [Fate.PART, Fate.REAL]
        assert place.archive.resolve("pruned/2").genome == switched(seed_genome(2), S0=2)
        assert "dropped in part" in "\n".join(pruning_lines(result))


def test_pruning_takes_out_conflicting_steps_together(tmp_path: Path) -> None:
    with workplace(tmp_path, evaluator({"S1": 0.3})) as place:
        one = place.archive.add(Offspring(seed_genome(2), (), "seed", "The seed genome", 0))
        for values in ({"S0": 1}, {"S1": 1}, {"S0": 2}):
            one = change(place.archive, one, **values)
        result = prune(place, "3", 4)
        assert [step.fate for step in result.steps] == [Fate.DROPPED, Fate.REAL, Fate.DROPPED]
        assert place.archive.resolve("pruned/3").genome == switched(seed_genome(2), S1=1)


def test_pruning_keeps_what_only_together_matters(tmp_path: Path) -> None:
    """Either of two steps can go, but not both: the second one is kept."""
    function = evaluator({})

    def redundant(trial):  # type: ignore[no-untyped-def]
        outcome = function(trial)
        both_off = "S0 = 0" in trial.source and "S1 = 0" in trial.source
        ending = {"individual": trial.individual, "replicate": trial.replicate, "seed": trial.seed}
        return Outcome(Status.OK, outcome.score + 0.5 * both_off, **ending)

    with workplace(tmp_path, redundant) as place:
        grow(place.archive, 2)
        result = prune(place, "2", 4)
        assert sorted(step.fate for step in result.steps) == [Fate.DROPPED, Fate.HARM]


def test_a_pruning_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    function = evaluator(EFFECTS)
    with workplace(tmp_path / "whole", function) as place:
        grow(place.archive, 4)
        whole = prune(place, "4", 2)
    left = 9

    def stopping(trial):  # type: ignore[no-untyped-def]
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return function(trial)

    create, stops = True, 0
    while True:
        try:
            with workplace(tmp_path / "parts", stopping, create=create) as place:
                if create:
                    grow(place.archive, 4)
                create = False
                parts = prune(place, "4", 2)
                break
        except KeyboardInterrupt:
            with Archive.open(tmp_path / "parts" / "archive.git") as archive:
                assert not pruned(archive, "4", 2).finished
            stops, left = stops + 1, 9
            assert stops < 20
    assert stops >= 2
    unlike = {"commit": None, "steps": ()}  # commits were made at other times
    assert replace(parts, **unlike) == replace(whole, **unlike)  # type: ignore[arg-type]
    assert [(one.fate, one.gain) for one in parts.steps] == [(one.fate, one.gain) for one in whole.steps]
