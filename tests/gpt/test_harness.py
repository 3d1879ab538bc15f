"""The variables that describe a run."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gpt.errors import UserError
from gpt.harness import Harness


def test_nothing_set_gives_the_defaults() -> None:
    harness = Harness.from_environment({})
    assert harness == Harness(None, 0, 5.0, None, None, None, None, ("search",), 32768)


def test_every_variable_is_read() -> None:
    reader, writer = socket.socketpair()
    fileno = writer.fileno()
    with reader, writer:
        harness = Harness.from_environment(
            {
                "GPT_DATA": "/data",
                "GPT_SEED": "7",
                "GPT_BOX": "2.5",
                "GPT_SEQUENCE_LENGTH": "64",
                "GPT_DEVICE": "cpu",
                "GPT_THREADS": "3",
                "GPT_REPORT_FD": str(fileno),
                "GPT_SPLITS": "confirm,locked",
                "GPT_VALIDATION_TOKENS": "1000",
            }
        )
    assert harness == Harness(Path("/data"), 7, 2.5, 64, "cpu", 3, fileno, ("confirm", "locked"), 1000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GPT_SEED", "x"),
        ("GPT_SEED", "-1"),
        ("GPT_BOX", "0"),
        ("GPT_BOX", "nan"),
        ("GPT_BOX", "inf"),
        ("GPT_THREADS", "0"),
        ("GPT_SEQUENCE_LENGTH", "1"),
        ("GPT_DEVICE", "tpu"),
        ("GPT_REPORT_FD", "987654"),
        ("GPT_REPORT_FD", "2"),
        ("GPT_VALIDATION_TOKENS", "0"),
        ("GPT_SPLITS", "train"),
        ("GPT_SPLITS", "search,search"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    with pytest.raises(UserError, match=f"{name}='?{value}"):
        Harness.from_environment({name: value})
