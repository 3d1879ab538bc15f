"""What the search says."""

import pytest

from evolve.summary import continue_command, duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(41.2, "41 s"), (89, "89 s"), (720, "12 min"), (11100, "3 h 05 min"), (86400, "24 h 00 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("arguments", "finished", "expected"),
    [
        (["--pop", "4"], False, "python -m evolve --pop 4 --out runs/a"),
        (["--pop", "4", "--gens", "8"], True, "python -m evolve --pop 4 --gens 18 --out runs/a"),
        (["--gens=8", "--fresh", "--out", "x"], True, "python -m evolve --gens 18 --out runs/a"),
        (["--gens=8", "--out=x"], False, "python -m evolve --gens=8 --out runs/a"),
    ],
)
def test_the_command_to_continue(arguments: list[str], finished: bool, expected: str) -> None:
    assert continue_command(arguments, "runs/a", 8, finished) == expected
