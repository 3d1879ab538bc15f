"""Validation bits per byte from a model's logits, and the checks that make it honest."""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gpt.errors import ContractError

ROWS_PER_BATCH = 16
CUTS = 32  # places at which causality is tried: 1, T - 1, and random ones
TOLERANCE = 1e-3  # of logits: far above the noise of equal computations, far below what a leak is worth


def bits_per_byte(model: object, rows: Tensor, token_bytes: Tensor, seed: int = 0) -> float:
    """Score a model on fixed rows: sum of nats / ln 2 / sum of the bytes of the target tokens.

    `rows` is (N, T + 1) int64 on the model's device; `token_bytes` is (vocab,), 0 for special tokens, whose
    predictions count in neither sum. The loss is taken in float32. The model is left in eval mode.

    Raises ContractError where the model is not a causal, deterministic nn.Module that scoring leaves
    unchanged, and FloatingPointError where a logit is not finite.
    """
    if not isinstance(model, nn.Module):
        raise ContractError(f"finish() got a {type(model).__name__}, not the trained nn.Module.")
    vocab_size = len(token_bytes)
    model.eval()
    before = state_hash(model)
    nats = 0.0
    size = 0
    with torch.no_grad():
        first = rows[:ROWS_PER_BATCH, :-1]
        reference = _logits(model, first, vocab_size).clone()  # a compiled model may reuse its output
        for start in range(0, len(rows), ROWS_PER_BATCH):
            batch = rows[start : start + ROWS_PER_BATCH]
            targets = batch[:, 1:]
            logits = _logits(model, batch[:, :-1], vocab_size)
            loss = cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")  # (B * T,) nats
            lengths = token_bytes[targets.flatten()]
            nats += loss[lengths > 0].sum(dtype=torch.float64).item()
            size += int(lengths.sum().item())
        _check_causal(model, first, reference, vocab_size, seed)
        if not _agree(reference, _logits(model, first, vocab_size)):
            raise ContractError("The model gave other logits for the same tokens when it was asked again.")
    if state_hash(model) != before:
        raise ContractError("Scoring changed the model's parameters or buffers.")
    if size == 0:
        raise ValueError("The validation rows hold nothing but special tokens.")
    return nats / math.log(2) / size


def state_hash(model: nn.Module) -> str:
    """A hash of the names and bytes of all parameters and buffers, also those outside the state_dict."""
    digest = hashlib.sha256()
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        flat = tensor.detach().cpu().contiguous().flatten()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _logits(model: nn.Module, tokens: Tensor, vocab_size: int) -> Tensor:
    """(B, T) -> (B, T, vocab) in float32, checked."""
    logits = model(tokens.clone())  # a model that writes into its input must not reach ours
    shape = (*tokens.shape, vocab_size)
    if not isinstance(logits, Tensor):
        raise ContractError(f"The model returned a {type(logits).__name__}, not logits of shape {shape}.")
    if logits.shape != shape:
        raise ContractError(f"The model returned shape {tuple(logits.shape)}, not logits of shape {shape}.")
    logits = logits.float()
    if not torch.isfinite(logits).all():
        raise FloatingPointError("The trained model gives logits that are not finite.")
    return logits


def _agree(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE)


def _check_causal(model: nn.Module, tokens: Tensor, reference: Tensor, vocab_size: int, seed: int) -> None:
    """Change row b from token t_b on: no logit before t_b may change, in its own row or through another's."""
    count, length = tokens.shape
    generator = torch.Generator().manual_seed(seed)
    cuts = torch.randint(1, length, (CUTS,), generator=generator)
    cuts[0], cuts[1] = 1, length - 1
    for start in range(0, CUTS, count):
        some = cuts[start : start + count]
        places = torch.arange(length) >= some[:, None]  # (b, T): True from the cut on
        shift = torch.randint(1, vocab_size, places.shape, generator=generator)  # never 0: every token changes
        changed = tokens.clone()  # the whole batch: with another shape, other kernels would bring other noise
        changed[: len(some)] += (shift * places).to(tokens.device)
        logits = _logits(model, changed % vocab_size, vocab_size)
        same = ~places.to(tokens.device)
        if not _agree(logits[: len(some)][same], reference[: len(some)][same]):
            raise ContractError("The model is not causal: a later token changed the logits before it.")
