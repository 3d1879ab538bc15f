"""What scripts of the de-facto `prepare` interface import, over a corpus that `gpt.prepare` made.

A script that says `from prepare import ...` runs unchanged with this folder on its PYTHONPATH. GPT_DATA, GPT_BOX,
GPT_SEED, GPT_DEVICE and GPT_VALIDATION_TOKENS mean what they do to a genome. Such a script counts its own time and
prints its own score: the figures are as honest as it is.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from gpt import tokenizer as bpe
from gpt.batches import Rows, validation_rows
from gpt.harness import DEFAULT_SEQUENCE_LENGTH, Harness
from gpt.prepared import TOKENIZER, Prepared

_harness = Harness.from_environment()
if _harness.data is None:
    sys.exit("GPT_DATA must name a prepared corpus: the folder in the last line of `python -m gpt.prepare`.")
_corpus = Prepared(_harness.data)
_device = torch.device(_harness.device or ("cuda" if torch.cuda.is_available() else "cpu"))

MAX_SEQ_LEN = _corpus.meta.row - 1 if _corpus.meta.row else _harness.sequence_length or DEFAULT_SEQUENCE_LENGTH
TIME_BUDGET = _harness.box
EVAL_TOKENS = _harness.validation_tokens


class Tokenizer:
    """The corpus's own."""

    def __init__(self) -> None:
        self._tokenizer = bpe.load(_corpus.folder / TOKENIZER)

    @classmethod
    def from_directory(cls, tokenizer_dir: str = "") -> Tokenizer:
        return cls()

    def get_vocab_size(self) -> int:
        return _corpus.meta.vocab_size

    def get_bos_token_id(self) -> int:
        return bpe.BOS_ID

    def decode(self, ids: list[int]) -> str:
        return bpe.decode(self._tokenizer, ids)


def get_token_bytes(device: str = "cpu") -> Tensor:
    """Bytes of every token, (vocab,); 0 for special tokens."""
    return torch.from_numpy(_corpus.token_bytes.astype(np.int64)).to(device)


def make_dataloader(
    tokenizer: Tokenizer, batch_size: int, length: int, split: str, buffer_size: int = 1000
) -> Iterator[tuple[Tensor, Tensor, int]]:
    """Batches (x, y, epoch) without end, x and y (batch_size, length) int64 on the device; "val" the search split's."""
    if split == "train":
        rows = Rows(_corpus.train, length, _harness.seed, packed=_corpus.meta.row > 0)
        while True:
            batch = rows.draw(batch_size)
            if _device.type == "cuda":
                batch = batch.pin_memory().to(_device, non_blocking=True)
            yield batch[:, :-1].long(), batch[:, 1:].long(), 1
    fixed = validation_rows(_corpus.validation("search"), length, EVAL_TOKENS)
    while True:
        for some in fixed.split(batch_size):
            yield some[:, :-1].to(_device), some[:, 1:].to(_device), 1


@torch.no_grad()
def evaluate_bpb(model: nn.Module, tokenizer: Tokenizer, batch_size: int) -> float:
    """Bits per byte over the rows that genomes are scored on; the model gives losses, as the interface has it."""
    lengths = get_token_bytes(str(_device))
    rows = validation_rows(_corpus.validation("search"), MAX_SEQ_LEN, EVAL_TOKENS).to(_device)
    nats, size = 0.0, 0
    for some in rows.split(batch_size):
        loss = model(some[:, :-1], some[:, 1:], reduction="none").flatten().float()
        counted = lengths[some[:, 1:].flatten()]
        nats += float(loss[counted > 0].sum(dtype=torch.float64))
        size += int(counted.sum())
    return nats / math.log(2) / size
