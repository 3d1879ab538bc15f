"""Byte-level BPE: trained once on a corpus, kept as JSON, with the number of bytes of every token."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

BOS = "<|bos|>"  # begins every document; its id is 0
BOS_ID = 0


def train(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Learn at most `vocab_size` tokens by byte-pair encoding (Sennrich et al. 2016) over UTF-8 bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BOS],
        # Without it a byte that the corpus lacks would have no token, and text with it would not round-trip.
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _plain(tokenizer)


def load(path: Path) -> Tokenizer:
    return _plain(Tokenizer.from_file(str(path)))


def encode(tokenizer: Tokenizer, texts: list[str]) -> list[NDArray[np.uint16]]:
    """The tokens of each text, each beginning with BOS: shapes (1 + n,)."""
    return [
        np.array([BOS_ID, *encoding.ids], dtype=np.uint16)
        for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    ]


def decode(tokenizer: Tokenizer, tokens: Iterable[int]) -> str:
    """The text of tokens, special ones left out."""
    return str(tokenizer.decode([int(token) for token in tokens], skip_special_tokens=True))


def byte_lengths(tokenizer: Tokenizer) -> NDArray[np.uint16]:
    """Number of UTF-8 bytes of every token, shape (vocab,); 0 for a special token.

    A byte-level token is spelled with one printable character a byte, so its spelling's length is the count.
    """
    size = tokenizer.get_vocab_size()
    spellings = [str(tokenizer.id_to_token(token)) for token in range(size)]
    return np.array([0 if s == BOS else len(s) for s in spellings], dtype=np.uint16)


def _plain(tokenizer: Tokenizer) -> Tokenizer:
    """Text that spells a special token is text: otherwise a document could forge the start of a document."""
    tokenizer.encode_special_tokens = True
    return tokenizer
