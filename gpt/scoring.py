"""Validation bits per byte from a model's logits, and the tests that make it honest."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from gpt.errors import ContractError
from gpt.state import state_hash

ROWS_PER_BATCH = 16
CUTS = 2 * ROWS_PER_BATCH  # places at which causality is tried: 1, T - 1, and random ones
SHORT_ROWS = 5  # of the tests with shorter rows
TOLERANCE = 1e-3  # of logits: far above the noise of equal computations, far below what a leak is worth
# Of the nats of the true tokens, root mean square, where other shapes bring other kernels in half precision.
NATS_TOLERANCE = 0.05

Logits = Callable[[Tensor], Tensor]  # tokens (B, T) int64 -> logits (B, T, vocab)


def bits_per_byte(model: object, rows: Tensor, token_bytes: Tensor, seed: int = 0, state: str | None = None) -> float:
    """Score a model on fixed rows: sum of nats / ln 2 / sum of the bytes of the target tokens.

    `rows` is (N, T + 1) int64 on the model's device; `token_bytes` is (vocab,), 0 for special tokens, whose
    predictions count in neither sum. Logits need not be normalised: that is done here, in float32. `state` is
    the model's `state_hash` when its training ended. The model is left in eval mode.

    Raises ContractError where the model is not a causal, deterministic nn.Module that scoring leaves
    unchanged, and FloatingPointError where a logit is not finite.
    """
    if not isinstance(model, nn.Module):
        raise ContractError(f"finish() got a {type(model).__name__}, not the trained nn.Module.")
    before = state_hash(model) if state is None else state
    model.eval()
    with eager():
        score = score_logits(model, rows, token_bytes, seed)
    if state_hash(model) != before:
        raise ContractError("Scoring changed the model's parameters or buffers.")
    return score


@torch.no_grad()
def score_logits(logits_of: Logits, rows: Tensor, token_bytes: Tensor, seed: int) -> float:
    """The same from a function that gives logits, wherever they are computed; `seed` decides what is tested.

    First the model sees rows with another continuation and rows that are cut off, then the true ones, then some of
    them once more, in other places and beside other rows. One that remembers the beginnings of rows can still answer
    alike: `gpt.rescore` asks another process, which has seen nothing.
    """
    judge = _Judge(logits_of, rows, len(token_bytes), seed)
    early = [*judge.other_continuations(), *judge.shorter_rows()]
    nats = 0.0
    size = 0
    for start in range(0, len(rows), ROWS_PER_BATCH):
        batch = rows[start : start + ROWS_PER_BATCH]
        logits = judge.logits(batch[:, :-1])
        if start == 0:
            judge.reference = logits.clone()  # a compiled model may reuse its output
            for compare in early:
                compare()
            early.clear()
        lengths = token_bytes[batch[:, 1:]]  # (B, T)
        nats += _nats(logits, batch)[lengths > 0].sum(dtype=torch.float64).item()
        size += int(lengths.sum().item())
    judge.other_places()
    if size == 0:
        raise ValueError("The validation rows hold nothing but special tokens.")
    return nats / math.log(2) / size


def eager() -> AbstractContextManager[object]:
    """What was compiled runs as it is written: tests of other shapes would each be compiled anew."""
    # Where nothing has imported the compiler, nothing is compiled, and its import takes seconds.
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


class _Judge:
    """Tests of one model on the first rows. One that must run before the true rows gives its comparison for later."""

    def __init__(self, logits_of: Logits, rows: Tensor, vocab_size: int, seed: int) -> None:
        self._logits_of = logits_of
        self._rows = rows
        self._first = rows[:ROWS_PER_BATCH, :-1]  # (b, T)
        self._vocab_size = vocab_size
        self._random = torch.Generator().manual_seed(seed)
        self.reference = torch.empty(0)  # logits of the first rows, when they are known

    def logits(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, vocab) in float32, checked."""
        logits = self._logits_of(tokens.clone())  # a model that writes into its input must not reach ours
        shape = (*tokens.shape, self._vocab_size)
        if not isinstance(logits, Tensor):
            raise ContractError(f"The model returned a {type(logits).__name__}, not logits of shape {shape}.")
        if logits.shape != shape:
            raise ContractError(f"The model returned shape {tuple(logits.shape)}, not logits of shape {shape}.")
        logits = logits.detach().float()
        if not torch.isfinite(logits).all():
            raise FloatingPointError("The trained model gives logits that are not finite.")
        return logits

    def other_continuations(self) -> list[Callable[[], None]]:
        """Row b goes on otherwise from token t_b on: as another row does, or with every token changed.

        Then no logit before t_b may be another, in its own row or through another's.
        """
        count, length = self._first.shape
        cuts = torch.randint(1, length, (CUTS,), generator=self._random)
        cuts[:2] = cuts[-2:] = torch.tensor([1, length - 1])
        comparisons: list[Callable[[], None]] = []
        for number, some in enumerate(torch.split(cuts, count)):
            kept = torch.zeros(count, length, dtype=torch.bool)
            kept[: len(some)] = torch.arange(length) < some[:, None]  # (b, T): True before the cut
            kept = kept.to(self._first.device)
            text = self._changed() if number % 2 else self._rows[self._draw(len(self._rows), count), :-1]
            # Always the whole batch: with another shape, other kernels would bring other noise.
            seen = self.logits(torch.where(kept, self._first, text))[kept]
            comparisons.append(partial(self._compare_causal, seen, kept))
        return comparisons

    def _changed(self) -> Tensor:
        """The first rows with every token another one."""
        shift = torch.randint(1, self._vocab_size, self._first.shape, generator=self._random)
        return (self._first + shift.to(self._first.device)) % self._vocab_size

    def _compare_causal(self, seen: Tensor, kept: Tensor) -> None:
        if not agree(seen, self.reference[kept]):
            raise ContractError("The model is not causal: a later token changed the logits before it.")

    def shorter_rows(self) -> list[Callable[[], None]]:
        """The beginnings of a few rows, alone: what follows does not exist yet."""
        length = self._first.shape[1]
        lengths = {length // 2, int(torch.randint(2, max(3, length), (), generator=self._random))}
        comparisons: list[Callable[[], None]] = []
        for short in sorted(one for one in lengths if 2 <= one < length):
            rows = self._rows[:SHORT_ROWS, : short + 1]
            logits = self.logits(rows[:, :-1]).clone()
            comparisons.append(partial(self._compare_short, rows, logits))
        return comparisons

    def _compare_short(self, rows: Tensor, logits: Tensor) -> None:
        reference = self.reference[: rows.shape[0], : rows.shape[1] - 1]
        difference = (_nats(logits, rows) - _nats(reference, rows)).square().mean().sqrt().item()
        if difference > NATS_TOLERANCE:
            raise ContractError("The model is not causal: rows without their end have other logits before it.")

    def other_places(self) -> None:
        """Half of the first rows again: in other places of the batch, and beside other rows."""
        count = len(self._first)
        half = self._draw(count, max(1, count // 2))
        places = self._draw(count, len(half))
        tokens = self._rows[self._draw(len(self._rows), count), :-1].clone()
        tokens[places] = self._first[half]
        if not agree(self.logits(tokens)[places], self.reference[half]):
            raise ContractError(
                "Asked again, in another place of the batch, the model gave other logits for the same row."
            )

    def _draw(self, among: int, count: int) -> Tensor:
        """`count` different numbers below `among`, as far as there are so many."""
        order = torch.randperm(among, generator=self._random)
        return order.repeat(-(-count // among))[:count].to(self._rows.device)


def _nats(logits: Tensor, rows: Tensor) -> Tensor:
    """Of every true token: logits (B, T, vocab) of rows (B, T + 1) -> (B, T)."""
    return -log_softmax(logits, dim=-1).gather(-1, rows[:, 1:, None]).squeeze(-1)


def agree(a: Tensor, b: Tensor) -> bool:
    """Whether two computations gave the same logits."""
    return torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE)
