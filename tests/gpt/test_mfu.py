"""The count of operations, and the table of devices."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gpt.mfu import flops_per_token, mfu_percent, peak_flops


class Model(nn.Module):
    def __init__(self, *, tied: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(100, 8)
        self.inside = nn.Linear(8, 16, bias=False)
        self.head = nn.Linear(8, 100, bias=False)
        if tied:
            self.head.weight = self.embedding.weight


@pytest.mark.parametrize("tied", [False, True])
def test_tables_are_looked_up_but_a_tied_head_multiplies(tied: bool) -> None:
    assert flops_per_token(Model(tied=tied)) == 6 * (8 * 16 + 8 * 100)


def test_a_model_knows_better() -> None:
    model = Model(tied=False)
    model.flops_per_token = 1234.0  # type: ignore[assignment]
    assert flops_per_token(model) == 1234


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989.4e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989.4e12),
        ("NVIDIA GH200 480GB", 989.4e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA GeForce GTX 1080", None),
    ],
)
def test_the_peak_follows_the_name(name: str, peak: float | None) -> None:
    assert peak_flops(name) == peak


def test_no_utilisation_is_claimed_for_a_cpu() -> None:
    assert mfu_percent(torch.device("cpu"), Model(tied=False), 10**6, 1.0) == 0
