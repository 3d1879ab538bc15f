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
    x, y = Rows(TOKENS, 8, seed=0).draw(32)
    assert x.shape == y.shape == (32, 8)
    assert x.dtype == y.dtype == torch.int64
    assert torch.equal(y, x + 1)
    assert torch.equal(x[:, 1:], y[:, :-1])


@given(st.integers(0, 1000), st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_rows_do_not_depend_on_the_batch_size(seed: int, sizes: list[int]) -> None:
    some, all_ = Rows(TOKENS, 8, seed), Rows(TOKENS, 8, seed)
    assert torch.equal(torch.cat([some.draw(size)[0] for size in sizes]), all_.draw(sum(sizes))[0])


def test_the_genomes_own_random_numbers_change_nothing() -> None:
    one, other = Rows(TOKENS, 8, seed=3), Rows(TOKENS, 8, seed=3)
    first = one.draw(4)[0]
    np.random.seed(0)
    torch.manual_seed(0)
    np.random.rand(100)
    assert torch.equal(other.draw(4)[0], first)
    assert torch.equal(one.draw(4)[0], other.draw(4)[0])


def test_another_seed_is_another_order() -> None:
    assert not torch.equal(Rows(TOKENS, 8, seed=0).draw(8)[0], Rows(TOKENS, 8, seed=1).draw(8)[0])


def test_all_places_are_drawn() -> None:
    x, y = Rows(TOKENS[:12], 8, seed=0).draw(400)
    assert sorted(set(x[:, 0].tolist())) == [0, 1, 2, 3]
    assert y.max() == 11


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
