"""Rows of tokens: of the training part, in an order of the seed's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpt.batches import Rows, validation_rows

TOKENS = np.arange(5000, dtype=np.uint16)


def test_targets_are_the_next_tokens() -> None:
    rows = Rows(TOKENS, 8, seed=0).draw(32)
    assert rows.shape == (32, 9) and rows.dtype == torch.int32
    assert torch.equal(rows[:, 1:], rows[:, :-1] + 1)


@given(st.integers(0, 1000), st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_rows_do_not_depend_on_the_batch_size(seed: int, sizes: list[int]) -> None:
    some, all_ = Rows(TOKENS, 8, seed), Rows(TOKENS, 8, seed)
    assert torch.equal(torch.cat([some.draw(size) for size in sizes]), all_.draw(sum(sizes)))


def test_the_genomes_own_random_numbers_change_nothing() -> None:
    one, other = Rows(TOKENS, 8, seed=3), Rows(TOKENS, 8, seed=3)
    first = one.draw(4)
    np.random.seed(0)
    torch.manual_seed(0)
    np.random.rand(100)
    assert torch.equal(other.draw(4), first)
    assert torch.equal(one.draw(4), other.draw(4))


def test_another_seed_is_another_order() -> None:
    assert not torch.equal(Rows(TOKENS, 8, seed=0).draw(8), Rows(TOKENS, 8, seed=1).draw(8))


def test_all_places_are_drawn() -> None:
    rows = Rows(TOKENS[:12], 8, seed=0).draw(400)
    assert sorted(set(rows[:, 0].tolist())) == [0, 1, 2, 3]
    assert rows.max() == 11


@given(st.integers(0, 1000), st.integers(1, 7))
def test_packed_rows_are_drawn_whole_and_once_an_epoch(seed: int, size: int) -> None:
    rows = Rows(TOKENS[:903], 8, seed, packed=True)  # 100 rows of 9, and a rest
    epochs = torch.cat([rows.draw(size) for _ in range(-(-200 // size))])[:200]
    for epoch in epochs.split(100):
        assert sorted(epoch[:, 0].tolist()) == list(range(0, 900, 9))
    assert torch.equal(epochs[:, 1:], epochs[:, :-1] + 1)
    assert not torch.equal(epochs[:100], epochs[100:])


def test_too_few_tokens_for_a_row() -> None:
    with pytest.raises(ValueError, match="hold no row of 8"):
        Rows(TOKENS[:8], 8, seed=0)
    with pytest.raises(ValueError, match="hold no row of 9"):
        validation_rows(TOKENS[:8], 8, 100)


@given(st.integers(9, 5000), st.integers(1, 8), st.integers(1, 6000))
def test_validation_rows_are_apart_and_within_the_limit(tokens: int, length: int, most: int) -> None:
    rows = validation_rows(TOKENS[:tokens], length, most)
    flat = rows.flatten().tolist()
    assert rows.shape[1] == length + 1
    assert len(set(flat)) == len(flat)
    assert max(flat) < tokens
    assert len(rows) == min(max(most // length, 1), tokens // (length + 1))


def test_validation_rows_come_from_everywhere() -> None:
    starts = validation_rows(TOKENS, 9, 90)[:, 0]
    assert starts.tolist() == list(range(0, 5000, 500))
