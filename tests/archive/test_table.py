"""The archive as flat rows."""

from __future__ import annotations

import json

from evolve.archive import Archive
from evolve.archive.table import evaluations
from tests.archive.filling import offspring, outcome


def test_a_row_an_evaluation_and_one_for_what_is_not_evaluated(archive: Archive) -> None:
    seed = archive.add(offspring(0))
    child = archive.add(offspring(1, 0, idea="Wider"))
    archive.add(offspring(2, 1, 0))
    archive.record(child, outcome(1.5, seconds={"training": 5.0, "total": 6.5}, steps=10, constants={"LR": 0.1}))
    archive.record(seed, outcome(None, reason="It crashed."))
    archive.record(child, outcome(1.4, replicate=1))
    rows = evaluations(archive)
    assert len({tuple(row) for row in rows}) == 1  # the same columns, in the same order
    assert [(r["evaluation"], r["individual"], r["replicate"], r["status"], r["score"]) for r in rows] == [
        (0, 1, 0, "ok", 1.5),
        (1, 0, 0, "crashed", None),
        (2, 1, 1, "ok", 1.4),
        (None, 2, None, None, None),
    ]
    first = rows[0]
    assert (first["idea"], first["parents"], first["steps"]) == ("Wider", "0", 10)
    assert (first["seconds_training"], first["seconds_total"], first["seconds_startup"]) == (5.0, 6.5, None)
    assert json.loads(first["constants"]) == {"LR": 0.1}
    assert rows[3]["parents"] == "1 0" and rows[3]["constants"] is None
