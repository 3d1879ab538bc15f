"""Transfers whose true share is known, and the rebasing of steps by itself."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.archive import Archive
from evolve.errors import UserError
from evolve.evaluation.trial import Trial
from evolve.individual import DERIVED, Offspring, Outcome, Status
from evolve.lineages.paired import Verdict
from evolve.lineages.rebase import parse_settings, set_constants
from evolve.lineages.replay import replay
from evolve.lineages.tables import transfer_lines
from evolve.lineages.transfer import transfer, transferred, transfers
from evolve.variation.catalogue import constants
from tests.lineages.synthetic import evaluator, grow, seed_genome, switched, workplace

GENOME = """\
DEPTH = 3  # range: 1..6
LR = 0.01  # range: 0.001..0.1 log; of the matrices
KIND = "relu2"  # choices: relu2 gelu
FLAG = True
PLAIN = 7
"""


def sized(size: int, genome: str) -> str:
    return f"SIZE = {size}\n" + genome


def halved(trial: Trial) -> Outcome:
    """Steps gain half as much at another size."""
    there = "SIZE = 2" in trial.source
    return evaluator({"S0": 0.1, "S1": 0.1, "S2": 0.0} if there else {"S0": 0.2, "S1": 0.2, "S2": 0.0})(trial)


def archived(archive: Archive) -> None:
    text = sized(1, seed_genome(3))
    archive.add(Offspring(text, (), "seed", "The seed genome", 0))
    for k in range(3):
        text = switched(text, **{f"S{k}": 1})
        archive.add(Offspring(text, (k,), "catalogue", f"Turn on S{k}", k + 1))


def test_half_of_the_gain_comes_along(tmp_path: Path) -> None:
    with workplace(tmp_path, halved) as place:
        archived(place.archive)
        result = transfer(place, "3", settings=["SIZE=2"], replicates=6)
        assert result.share is not None
        assert 0.4 < result.share.low < 0.5 < result.share.high < 0.6
        assert (result.original.verdict, result.gain.verdict) == (Verdict.REAL, Verdict.REAL)
        base, last = place.archive.resolve(result.base), place.archive.resolve(str(result.branch))
        assert last.name == result.transferred
        assert last.genome == sized(2, switched(seed_genome(3), S0=1, S1=1, S2=1))
        assert base.parents == (0,) and base.derivation["set"] == {"SIZE": 2}
        assert [step.carried for step in result.steps] == ["d1", "d2", "d3"]
        assert [one.name for one in place.archive.lineage(last)] == ["#0", "d0", "d1", "d2", "d3"]
        assert last.parents[1] == 3
        assert "comes along (95 % interval" in "\n".join(transfer_lines(result))
        count = len(place.archive.studies())
        assert transfer(place, "3", settings=["SIZE=2"], replicates=6) == result
        assert len(place.archive.studies()) == count == 24
        there = replay(place, str(result.branch), 4)
        assert [step.name for step in there.steps] == ["#0", "d0", "d1", "d2", "d3"]
        verdicts = [step.gain.verdict for step in there.steps if step.gain is not None]
        assert verdicts[1:] == [Verdict.REAL, Verdict.REAL, Verdict.NOISE]
    with Archive.open(tmp_path / "archive.git") as archive:
        assert transfers(archive) == [result.base]
        assert transferred(archive, result.base, 6) == result


def test_a_transfer_has_its_own_box_and_its_replay_too(tmp_path: Path) -> None:
    boxes: dict[str, set[float]] = {}
    function = evaluator({"S0": 0.2})

    def noted(trial: Trial) -> Outcome:
        name = f"d{trial.individual - DERIVED}" if trial.individual >= DERIVED else str(trial.individual)
        boxes.setdefault(name, set()).add(trial.time_box)
        return function(trial)

    with workplace(tmp_path, noted) as place:
        grow(place.archive, 2)
        result = transfer(place, "2", time_box=0.2, replicates=4)
        assert boxes == {"0": {0.05}, "2": {0.05}, "d0": {0.2}, "d2": {0.2}}
        assert result.time_boxes == (0.05, 0.2)
        there = replay(place, str(result.branch), 2)
        assert [step.name for step in there.steps] == ["d0", "d1", "d2"]
        assert there.time_box == 0.2


def test_conflicts_are_left_out_and_told_and_what_is_set_stays(tmp_path: Path) -> None:
    script = tmp_path / "other.py"
    script.write_text("import math\n" + switched(seed_genome(4), S1=9, S3=1) + "\n\nprint(math.pi)\n")
    with workplace(tmp_path / "run", evaluator({"S0": 0.2})) as place:
        grow(place.archive, 4)
        result = transfer(place, "4", onto=str(script), settings=["S2=5"], replicates=4)
        assert [(step.carried, step.conflicts, step.fixed) for step in result.steps] == [
            ("d1", (), ()),
            (None, ("S1",), ()),
            (None, (), ("S2",)),
            (None, (), ()),
        ]
        last = place.archive.resolve(str(result.transferred))
        expected = switched(seed_genome(4), S0=1, S1=9, S2=5, S3=1)
        assert last.genome == "import math\n" + expected + "\n\nprint(math.pi)\n"
        assert place.archive.resolve(result.base).parents == ()
        text = "\n".join(transfer_lines(result))
        assert "left out     Turn on S1 [conflict in S1]" in text
        assert "nothing new  Turn on S2 [S2 stays as set]" in text
        squashed = transfer(place, "4", onto=str(script), settings=["S2=5"], squash=True, replicates=4)
        (step,) = squashed.steps
        assert (step.conflicts, step.fixed) == (("S1",), ("S2",))
        assert place.archive.resolve(str(squashed.transferred)).genome == last.genome


def test_what_fails_there_is_told(tmp_path: Path) -> None:
    function = evaluator({"S0": 0.2})

    def small_machine(trial: Trial) -> Outcome:
        if "S1 = 8" in trial.source:
            ending = {"individual": trial.individual, "replicate": trial.replicate, "seed": trial.seed}
            return Outcome(Status.OUT_OF_MEMORY, reason="used over 4000 MB", **ending)
        return function(trial)

    with workplace(tmp_path, small_machine) as place:
        grow(place.archive, 1)
        place.archive.add(Offspring(seed_genome(2), (), "seed", "Another", 0))
        result = transfer(place, "1", onto=_script(tmp_path, switched(seed_genome(2), S1=8)), replicates=2)
        assert result.share is None
        text = "\n".join(transfer_lines(result))
        assert "out of memory: used over 4000 MB" in text and "not known" in text


def _script(folder: Path, text: str) -> str:
    (folder / "script.py").write_text(text)
    return str(folder / "script.py")


def test_bad_requests_are_refused(tmp_path: Path) -> None:
    with workplace(tmp_path / "run", evaluator({})) as place:
        grow(place.archive, 1)
        for options, message in [
            ({}, "Say where to"),
            ({"settings": ["S0"]}, "NAME=VALUE"),
            ({"settings": ["S77=1"]}, "no constant 'S77'"),
            ({"settings": ["main=1"]}, "no constant 'main'"),
            ({"settings": ["S0=1", "S0=2"]}, "twice"),
            ({"settings": ["S0=1.5"]}, "must stay an integer"),
            ({"settings": ["S0=[1]"]}, "must be a number"),
            ({"settings": ["S0=big"]}, "of another kind"),
            ({"onto": "nowhere.py"}, "cannot be read"),
            ({"onto": _script(tmp_path, "def (")}, "not Python"),
            ({"time_box": -1.0}, "above zero"),
        ]:
            with pytest.raises(UserError, match=message):
                transfer(place, "1", **options)  # type: ignore[arg-type]
        assert not place.archive.derived


def test_constants_are_set_and_their_spaces_widened() -> None:
    values = parse_settings(["DEPTH=12", "LR=0.5", "KIND=silu", "FLAG=False", "PLAIN=8"])
    text = set_constants(GENOME, values)
    assert text == (
        "DEPTH = 12  # range: 1..12\n"
        "LR = 0.5  # range: 0.001..0.5 log; of the matrices\n"
        'KIND = "silu"  # choices: relu2 gelu silu\n'
        "FLAG = False\n"
        "PLAIN = 8\n"
    )
    assert {one.name: one.value for one in constants(text)} == {"DEPTH": 12, "LR": 0.5, "KIND": "silu"}
    with pytest.raises(UserError, match="logarithmic"):
        set_constants(GENOME, {"LR": 0.0})


@settings(max_examples=40, deadline=None)
@given(st.integers(-1000, 1000), st.floats(1e-6, 1e6), st.text(max_size=8), st.booleans())
def test_any_value_that_is_set_is_there_and_the_rest_as_before(depth: int, lr: float, kind: str, flag: bool) -> None:
    source = 'é = "é"; X = 1\nDEPTH = 3  # range: -5..6\nLR = 0.01\nKIND = "a"\nFLAG = True\nREST = 1\n'
    text = set_constants(source, {"DEPTH": depth, "LR": lr, "KIND": kind, "FLAG": flag})
    space: dict[str, object] = {}
    exec(text, space)
    assert (space["DEPTH"], space["LR"], space["KIND"], space["FLAG"]) == (depth, lr, kind, flag)
    assert text.startswith('é = "é"; X = 1\n') and text.endswith("REST = 1\n")
    assert constants(text)[0].value == depth


def test_nothing_is_evaluated_where_no_step_can_be_carried(tmp_path: Path) -> None:
    with workplace(tmp_path, evaluator({})) as place:
        grow(place.archive, 1)
        result = transfer(place, "1", onto=_script(tmp_path, switched(seed_genome(1), S0=4)))
        assert result.transferred is None and not place.archive.studies()
        assert "nothing was evaluated" in "\n".join(transfer_lines(result))
        assert isinstance(place.console.file, io.StringIO)
