"""Every genome of tests/hostile/genomes, in every mode that claims to cover it, has the outcome that its head says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from evolve.evaluation.isolation import warm_parents
from evolve.evaluation.process_tree import descendants
from evolve.individual import Outcome

from ..evaluation.genomes import gone_within
from .conftest import Bait
from .expectation import MODES, NOT_CLAIMED, Hostile, hostile_genomes
from .modes import needs

CASES = [
    pytest.param(hostile, mode, way, id=f"{hostile.name}-{mode}-{way}", marks=needs(mode, way))
    for hostile in hostile_genomes()
    for mode in MODES
    if hostile.expected(mode) != NOT_CLAIMED
    for way in hostile.ways
    if hostile.arena == "toy"
]


@pytest.mark.parametrize(("hostile", "mode", "way"), CASES)
def test_it_has_the_outcome_that_it_must_get(
    hostile: Hostile, mode: str, way: str, outcomes: Callable[[Hostile, str, str], list[Outcome]], bait: Bait
) -> None:
    for outcome in outcomes(hostile, mode, way):
        hostile.check(outcome, mode)
    bait.check()


def test_nothing_is_left_of_them(bait: Bait) -> None:
    assert [folder.name for folder in (bait.run / "trials").iterdir()] == ["other"]
    left = [pid for parent in warm_parents.pids for pid in descendants(parent)]
    assert gone_within(left, 10.0)  # a supervisor has only to end itself
    bait.check()
