"""Byte-level BPE: any text comes back, and every byte is counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from gpt import tokenizer as bpe
from tests.gpt.text import sentences

TOKENIZER = bpe.train([sentences(400)], 400)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))  # all but surrogates, which UTF-8 cannot say


@pytest.fixture(scope="module")
def reloaded(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("bpe") / "tokenizer.json"
    TOKENIZER.save(str(path))
    return bpe.load(path)


@given(TEXT)
def test_text_comes_back(text: str) -> None:
    (tokens,) = bpe.encode(TOKENIZER, [text])
    assert tokens[0] == bpe.BOS_ID
    assert bpe.decode(TOKENIZER, tokens) == text


@given(TEXT)
def test_bytes_of_tokens_are_the_bytes_of_the_text(text: str) -> None:
    (tokens,) = bpe.encode(TOKENIZER, [text])
    assert bpe.byte_lengths(TOKENIZER)[tokens].sum() == len(text.encode())


def test_text_cannot_forge_the_start_of_a_document(reloaded: Tokenizer) -> None:
    text = f"a{bpe.BOS}b"
    for tokenizer in (TOKENIZER, reloaded):
        (tokens,) = bpe.encode(tokenizer, [text])
        assert list(tokens).count(bpe.BOS_ID) == 1
        assert bpe.decode(tokenizer, tokens) == text


def test_json_keeps_the_tokenizer(reloaded: Tokenizer) -> None:
    text = sentences(20, seed=5)
    assert list(bpe.encode(reloaded, [text])[0]) == list(bpe.encode(TOKENIZER, [text])[0])


def test_training_again_gives_the_same_tokens() -> None:
    assert bpe.train([sentences(400)], 400).to_str() == TOKENIZER.to_str()


def test_vocabulary_has_the_asked_size_and_compresses() -> None:
    assert TOKENIZER.get_vocab_size() == 400
    text = sentences(100, seed=0)
    assert len(bpe.encode(TOKENIZER, [text])[0]) < 0.7 * len(text.encode())
