"""Validation bits per byte from a model's logits, and the tests that make it honest."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from gpt.errors import ContractError
from gpt.state import state_hash

ROWS_PER_BATCH = 16
TESTED = 64  # rows that the genome's own process tests; `gpt.rescore` tests all
REPLACED = 2  # rows of a batch of changed ones that have nothing in common with the true ones
TOLERANCE = 1e-3  # of log-probabilities: far above the noise of equal computations, far below what a leak is worth
NATS_TOLERANCE = 0.05  # of a true token, root mean square, where another length brings other kernels in half precision

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
        nats = nats_of_rows(model, model, rows, token_bytes, seed, TESTED)
    if state_hash(model) != before:
        raise ContractError("Scoring changed the model's parameters or buffers.")
    return per_byte(nats, rows, token_bytes)


def per_byte(nats: Tensor, rows: Tensor, token_bytes: Tensor) -> float:
    """Bits per byte of rows (N, T + 1) from their nats (N,). Raises ValueError where their targets have no bytes."""
    size = int(token_bytes[rows[:, 1:]].sum().item())
    if size == 0:
        raise ValueError("The validation rows hold nothing but special tokens.")
    return nats.sum().item() / math.log(2) / size


@torch.no_grad()
def nats_of_rows(model: Logits, witness: Logits, rows: Tensor, token_bytes: Tensor, seed: int, tested: int) -> Tensor:
    """Nats of the targets of each row, (N,) float64, special tokens left out, from the logits of `model`.

    `witness` is the same model, where that is possible in another process. It is asked for the first `tested` rows,
    each of which goes on otherwise from a random token on, in another place of the batch and beside other rows, and
    must give the same before that token. A model that looks ahead somewhere, or remembers, cannot have its witness say
    the same there, because that has never seen what follows. All batches have one shape and their rows are in random
    order, so that nothing tells a model what it is asked for; `seed` decides all that is random.
    """
    random = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(rows), generator=random)
    filled = order.repeat(
        2 + ROWS_PER_BATCH // len(order)
    )  # the last batch is filled up with rows that count elsewhere
    nats = torch.zeros(len(rows), dtype=torch.float64)
    for start in range(0, len(rows), ROWS_PER_BATCH):
        places = filled[start : start + ROWS_PER_BATCH]
        batch = rows[places.to(rows.device)]
        log_probabilities = _log_probabilities(model, batch[:, :-1], len(token_bytes))
        counted = _nats(log_probabilities, batch).where(token_bytes[batch[:, 1:]] > 0, 0)
        nats[places] = counted.sum(1, dtype=torch.float64).cpu()
        if start < tested:
            _test_continuations(witness, batch, log_probabilities, rows, random)
        if start == 0 and tested:
            _test_lengths(witness, batch, log_probabilities, random)
    return nats


def eager() -> AbstractContextManager[object]:
    """What was compiled runs as it is written: tests of other shapes would each be compiled anew."""
    # Where nothing has imported the compiler, nothing is compiled, and its import takes seconds.
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def agree(a: Tensor, b: Tensor) -> bool:
    """Whether two computations gave the same log-probabilities (of logits, a constant would hide any difference)."""
    return torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE)


def _test_continuations(
    witness: Logits, batch: Tensor, expected: Tensor, rows: Tensor, random: torch.Generator
) -> None:
    """Whether rows that are changed from a token on have the log-probabilities `expected`, (B, T, vocab), before it."""
    tokens = batch[:, :-1]
    count, length = tokens.shape
    cuts = torch.randint(1, length, (count, 1), generator=random)
    cuts[0], cuts[1] = 1, length - 1
    cuts[2 : 2 + REPLACED] = 0
    kept = (torch.arange(length) < cuts).to(tokens.device)  # (B, T): before the cut
    # Half of them go on as another row does, half with every token another one.
    others = rows[torch.randint(len(rows), (count,), generator=random).to(rows.device), :-1]
    shift = torch.randint(1, expected.shape[-1], tokens.shape, generator=random).to(tokens.device)
    shifted = (tokens + shift) % expected.shape[-1]
    odd = (torch.arange(count) % 2 == 1)[:, None].to(tokens.device)
    changed = torch.where(kept, tokens, torch.where(odd, shifted, others))
    places = torch.randperm(count, generator=random).to(tokens.device)
    seen = _log_probabilities(witness, changed[places], expected.shape[-1])[torch.argsort(places)]
    if not agree(seen[kept], expected[kept]):
        raise ContractError(
            "The model is not causal: a row's logits changed with what follows in it, with its place in the batch or "
            "the rows beside it, or with being asked again."
        )


def _test_lengths(witness: Logits, batch: Tensor, expected: Tensor, random: torch.Generator) -> None:
    """Whether the beginnings of rows have the nats that follow from `expected`, where there is nothing after them."""
    length = batch.shape[1] - 1
    lengths = {length // 2, int(torch.randint(2, max(3, length), (), generator=random))}
    for short in sorted(one for one in lengths if 2 <= one < length):
        rows = batch[:, : short + 1]
        seen = _nats(_log_probabilities(witness, rows[:, :-1], expected.shape[-1]), rows)
        difference = seen - _nats(expected[:, :short], rows)
        at_the_end = difference[:, -1].mean().abs().item()
        if max(difference.square().mean().sqrt().item(), at_the_end) > NATS_TOLERANCE:
            raise ContractError("The model is not causal: rows without their end have other logits before it.")


def _log_probabilities(logits_of: Logits, tokens: Tensor, vocab_size: int) -> Tensor:
    """(B, T) -> (B, T, vocab) in float32, from logits that are checked."""
    logits = logits_of(tokens.clone())  # a model that writes into its input must not reach ours
    shape = (*tokens.shape, vocab_size)
    if not isinstance(logits, Tensor):
        raise ContractError(f"The model returned a {type(logits).__name__}, not logits of shape {shape}.")
    if logits.shape != shape:
        raise ContractError(f"The model returned shape {tuple(logits.shape)}, not logits of shape {shape}.")
    logits = logits.detach().float()
    if not torch.isfinite(logits).all():
        raise FloatingPointError("The trained model gives logits that are not finite.")
    return log_softmax(logits, dim=-1)


def _nats(log_probabilities: Tensor, rows: Tensor) -> Tensor:
    """Of every true token: log-probabilities (B, T, vocab) of rows (B, T + 1) -> (B, T)."""
    return -log_probabilities.gather(-1, rows[:, 1:, None]).squeeze(-1)
