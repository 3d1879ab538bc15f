"""Rows without padding, that lose nothing."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt.packing import Packer
from gpt.tokenizer import BOS_ID

Tokens = np.ndarray


def documents(lengths: list[int]) -> list[Tokens]:
    """Documents of BOS and so many tokens, no token twice."""
    ends = np.cumsum([0, *lengths])
    numbered = np.arange(1, ends[-1] + 1, dtype=np.uint16)
    return [np.concatenate(([BOS_ID], numbered[a:b])).astype(np.uint16) for a, b in pairwise(ends)]


def packed(texts: list[Tokens], width: int, pool: int) -> list[list[int]]:
    packer = Packer(width, pool)
    rows = [row.tolist() for text in texts for row in packer.add(text)]
    return rows + [row.tolist() for row in packer.finish()]


@given(st.lists(st.integers(0, 60), max_size=60), st.integers(2, 40), st.integers(0, 20))
def test_every_token_stands_in_one_row_but_for_less_than_a_row(lengths: list[int], width: int, pool: int) -> None:
    rows = packed(documents(lengths), width, pool)
    assert all(len(row) == width and row[0] == BOS_ID for row in rows)
    tokens = Counter(token for row in rows for token in row if token != BOS_ID)
    assert set(tokens.values()) <= {1}
    assert sum(lengths) - len(tokens) < width
    followed = {token for row in rows for before, token in pairwise(row) if before + 1 == token}
    cut = sum(lengths) - len(followed)  # tokens that begin a document, or what follows a cut, or are left out
    assert cut <= len(lengths) + len(rows) + sum(length // width for length in lengths) + width


def test_the_longest_that_fits_is_taken() -> None:
    rows = packed(documents([6, 2, 1, 4]), 10, pool=10)
    assert rows[0] == [BOS_ID, 1, 2, 3, 4, 5, 6, BOS_ID, 7, 8]  # 7 and 3 tokens; 5 did not fit
    assert len(rows) == 1


def test_what_fits_nowhere_is_cut_and_goes_on_with_bos() -> None:
    assert packed(documents([12, 5]), 8, pool=0) == [
        [BOS_ID, *range(1, 8)],
        [BOS_ID, *range(13, 18), BOS_ID, 8],
    ]  # 9 to 12, with a BOS, fill no row


def test_a_pool_bounds_what_waits() -> None:
    packer = Packer(100, pool=5)
    ready = [len(list(packer.add(text))) for text in documents([30] * 40)]
    assert sum(ready) >= 10


def test_no_row_without_text() -> None:
    with pytest.raises(ValueError, match="holds none of a document"):
        Packer(1)
