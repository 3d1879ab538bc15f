"""The printed summary and the reported constants."""

from __future__ import annotations

import math
import re
from types import ModuleType

import torch

from gpt import summary
from gpt.summary import Summary

FIGURES = Summary(
    val_bpb=1.23456789,
    training_seconds=5.04,
    total_seconds=6.25,
    peak_memory_mb=367.7,
    mfu_percent=0.0,
    tokens=263_000,
    steps=257,
    parameters=229_376,
    depth=2,
)


def test_the_shared_keys_in_their_order() -> None:
    pairs = re.findall(r"^(\w+): +(\S+)$", str(FIGURES), re.MULTILINE)
    assert pairs == [
        ("val_bpb", "1.234568"),
        ("training_seconds", "5.0"),
        ("total_seconds", "6.2"),
        ("peak_vram_mb", "367.7"),
        ("mfu_percent", "0.00"),
        ("total_tokens_M", "0.263"),
        ("num_steps", "257"),
        ("num_params_M", "0.229"),
        ("depth", "2"),
    ]


def test_constants_are_plain_capital_names() -> None:
    module = ModuleType("genome")
    module.__dict__.update(DEPTH=2, MATRIX_LR=0.01, TIED=False, ACTIVATION="relu2", A1=1, lower=1, Mixed=1, _HIDDEN=1)
    module.__dict__.update(LIST=[1], MODULE=math, INFINITE=math.inf, NONE=None)
    assert summary.constants(module) == {
        "DEPTH": 2,
        "MATRIX_LR": 0.01,
        "TIED": False,
        "ACTIVATION": "relu2",
        "A1": 1,
    }


def test_memory_of_this_process_is_believable() -> None:
    assert 50 < summary.peak_memory_mb(torch.device("cpu")) < 20_000
