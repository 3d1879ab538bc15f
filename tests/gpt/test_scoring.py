"""Bits per byte against an independent computation, and models that break the contract."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gpt.errors import ContractError
from gpt.scoring import ROWS_PER_BATCH, bits_per_byte, nats_of_rows
from gpt.state import state_hash

VOCAB = 11
LENGTH = 12
TOKEN_BYTES = torch.tensor([0, *range(1, VOCAB)])  # token 0 is special


def rows(count: int = 40, seed: int = 0) -> Tensor:
    return torch.randint(VOCAB, (count, LENGTH + 1), generator=torch.Generator().manual_seed(seed))


class Causal(nn.Module):
    """Logits from the running mean of the embeddings so far."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(VOCAB, 8)
        self.head = nn.Linear(8, VOCAB)
        self.dropout = nn.Dropout(0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embedding(tokens).cumsum(1) / torch.arange(1, tokens.shape[1] + 1)[:, None]
        logits: Tensor = self.head(self.dropout(h))
        return logits


class Changed(Causal):
    """A causal model whose logits go through a function of (model, logits, tokens)."""

    def __init__(self, change: Callable[[nn.Module, Tensor, Tensor], object]) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1), persistent=False)
        self.change = change

    def forward(self, tokens: Tensor) -> Tensor:
        return self.change(self, super().forward(tokens), tokens)  # type: ignore[return-value]


class Uniform(nn.Module):
    def forward(self, tokens: Tensor) -> Tensor:
        return torch.zeros(*tokens.shape, VOCAB)


def score(model: object, data: Tensor | None = None) -> float:
    return bits_per_byte(model, rows() if data is None else data, TOKEN_BYTES)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 3 * ROWS_PER_BATCH), st.integers(0, 100))
def test_agrees_with_a_plain_computation(count: int, seed: int) -> None:
    model = Causal().eval()
    data = rows(count, seed)
    bits, size = 0.0, 0
    for row in data:
        with torch.no_grad():
            logits = model(row[None, :-1])[0].double().numpy()
        for target, z in zip(row[1:].tolist(), logits, strict=True):
            if target != 0:
                bits -= math.log2(np.exp(z[target]) / np.exp(z).sum())
                size += target  # the table gives token n just n bytes
    assert score(model, data) == pytest.approx(bits / size, rel=1e-5)


def test_a_uniform_model_has_the_entropy_of_its_vocabulary() -> None:
    targets = rows()[:, 1:]
    counted = int((targets > 0).sum())
    assert score(Uniform()) == pytest.approx(counted * math.log2(VOCAB) / int(targets.sum()), rel=1e-6)


def test_dropout_is_off_and_gradients_too() -> None:
    model = Causal().train()
    assert score(model) == score(model)
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_half_precision_logits_are_scored_in_float32() -> None:
    class Half(Causal):
        def forward(self, tokens: Tensor) -> Tensor:
            return super().forward(tokens).bfloat16()

    assert score(Half()) == pytest.approx(score(Causal()), rel=1e-2)


def peek(_: nn.Module, logits: Tensor, tokens: Tensor) -> Tensor:
    """Reads the next token."""
    hint = nn.functional.one_hot(tokens[:, 1:], VOCAB)
    return torch.cat([logits[:, :-1] + hint, logits[:, -1:]], dim=1)


def look_at_the_last(_: nn.Module, logits: Tensor, tokens: Tensor) -> Tensor:
    """Only the last token leaks, and only to the place before it."""
    logits = logits.clone()
    logits[:, -2] += nn.functional.one_hot(tokens[:, -1], VOCAB)
    return logits


def look_at_other_rows(_: nn.Module, logits: Tensor, tokens: Tensor) -> Tensor:
    """A token in another row of the batch, at a later place."""
    return logits + nn.functional.one_hot(tokens.roll(1, 0)[:, -1:], VOCAB)


def normalize_over_the_row(_: nn.Module, logits: Tensor, tokens: Tensor) -> Tensor:
    """A mistake rather than a trick: statistics over time."""
    return logits - logits.mean(1, keepdim=True)


@pytest.mark.parametrize("change", [peek, look_at_the_last, look_at_other_rows, normalize_over_the_row])
def test_a_model_that_sees_the_future_is_found(change: Callable[..., Tensor]) -> None:
    with pytest.raises(ContractError, match="not causal"):
        score(Changed(change))


def count_calls(model: nn.Module, logits: Tensor, _: Tensor) -> Tensor:
    model.calls += 1  # type: ignore[operator]
    return logits


def learn(model: nn.Module, logits: Tensor, _: Tensor) -> Tensor:
    model.head.bias.data[1] += 1e-6  # type: ignore[union-attr,index,operator]
    return logits


@pytest.mark.parametrize("change", [count_calls, learn])
def test_scoring_must_leave_the_model_as_it_was(change: Callable[..., Tensor]) -> None:
    with pytest.raises(ContractError, match="changed the model's parameters or buffers"):
        score(Changed(change))


def test_training_between_the_end_of_the_box_and_the_scoring_is_found() -> None:
    model = Causal()
    committed = state_hash(model)
    model.head.bias.data[0] += 1
    with pytest.raises(ContractError, match="changed the model's parameters"):
        bits_per_byte(model, rows(), TOKEN_BYTES, state=committed)


def by_place(_: nn.Module, logits: Tensor, __: Tensor) -> Tensor:
    return logits * torch.arange(1, len(logits) + 1)[:, None, None]


def by_neighbours(_: nn.Module, logits: Tensor, __: Tensor) -> Tensor:
    return logits - logits[:, :1].mean(0, keepdim=True)


@pytest.mark.parametrize("change", [by_place, by_neighbours])
def test_a_row_has_its_logits_in_any_place_and_company(change: Callable[..., Tensor]) -> None:
    with pytest.raises(ContractError, match=r"another place of the batch|not causal"):
        score(Changed(change))


def test_a_model_that_looks_ahead_in_whole_rows_alone_is_found() -> None:
    def only_whole(model: nn.Module, logits: Tensor, tokens: Tensor) -> Tensor:
        return peek(model, logits, tokens) if tokens.shape[1] == LENGTH else logits

    def only_short(model: nn.Module, logits: Tensor, tokens: Tensor) -> Tensor:
        return logits if tokens.shape[1] == LENGTH else logits.roll(1, -1)

    for change in (only_whole, only_short):
        with pytest.raises(ContractError, match="not causal"):
            score(Changed(change))


def peek_behind_a_constant(model: nn.Module, logits: Tensor, tokens: Tensor) -> Tensor:
    """A sum that is the same for all logits changes no probability, but makes any difference small beside it."""
    return peek(model, logits, tokens) + 20_000


def peek_in_some_rows(model: nn.Module, logits: Tensor, tokens: Tensor) -> Tensor:
    return torch.where((tokens[:, :1, None] + tokens[:, 1:2, None]) % 8 == 3, peek(model, logits, tokens), logits)


def peek_at_some_places(model: nn.Module, logits: Tensor, tokens: Tensor) -> Tensor:
    return torch.where(torch.arange(tokens.shape[1])[:, None] == 7, peek(model, logits, tokens), logits)


@pytest.mark.parametrize("change", [peek_behind_a_constant, peek_in_some_rows, peek_at_some_places])
def test_no_row_and_no_place_is_free_to_look_ahead(change: Callable[..., Tensor]) -> None:
    model = Changed(change).eval()
    with pytest.raises(ContractError, match="not causal"):
        nats_of_rows(model, model, rows(256), TOKEN_BYTES, 0, 256)


@pytest.mark.parametrize("honest", range(9))
def test_counting_its_calls_tells_a_model_nothing(honest: int) -> None:
    calls = [0]

    def wait(model: nn.Module, logits: Tensor, tokens: Tensor) -> Tensor:
        calls[0] += 1
        return peek(model, logits, tokens) if calls[0] > honest else logits

    with pytest.raises(ContractError, match="not causal"):
        score(Changed(wait), rows(5 * ROWS_PER_BATCH))


def test_batches_have_one_shape_and_the_witness_sees_no_row_to_its_end() -> None:
    data = rows(40)
    asked: dict[str, list[Tensor]] = {"model": [], "witness": []}

    def watched(name: str) -> Callable[[Tensor], Tensor]:
        def ask(tokens: Tensor) -> Tensor:
            asked[name].append(tokens)
            with torch.no_grad():
                return Causal().eval()(tokens)

        return ask

    nats_of_rows(watched("model"), watched("witness"), data, TOKEN_BYTES, 0, 40)
    whole = [tokens for tokens in asked["model"] + asked["witness"] if tokens.shape[1] == LENGTH]
    assert {len(tokens) for tokens in whole} == {ROWS_PER_BATCH}
    known = {tuple(row) for row in data[:, :-1].tolist()}
    assert {tuple(row) for tokens in asked["model"] for row in tokens.tolist()} == known
    changed = [tuple(row) for tokens in asked["witness"] if tokens.shape[1] == LENGTH for row in tokens.tolist()]
    assert sum(row in known for row in changed) <= 0.2 * len(changed)  # those of another row from its first token on


def test_what_is_compiled_is_scored_as_it_is_written() -> None:
    assert score(torch.compile(Causal(), backend="eager")) == score(Causal())


def test_scoring_twice_must_agree() -> None:
    calls = [0]

    def drift(_: nn.Module, logits: Tensor, __: Tensor) -> Tensor:
        calls[0] += 1
        return logits + (1.0 if calls[0] > 5 else 0.0) * torch.arange(VOCAB)

    with pytest.raises(ContractError, match=r"Asked again|not causal"):
        score(Changed(drift))
    with pytest.raises(ContractError, match=r"Asked again|not causal"):
        score(Changed(lambda _, logits, __: nn.functional.dropout(logits, 0.1)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda _, logits, __: (logits, None), "returned a tuple"),
        (lambda _, logits, __: logits[:, -1], "returned shape"),
        (lambda _, logits, __: torch.cat([logits, logits], dim=-1), "returned shape"),
    ],
)
def test_logits_must_have_their_shape(change: Callable[..., object], sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        score(Changed(change))


def test_a_model_must_be_a_module() -> None:
    with pytest.raises(ContractError, match="got a function, not the trained"):
        score(peek)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_are_a_crash(value: float) -> None:
    def spoil(_: nn.Module, logits: Tensor, __: Tensor) -> Tensor:
        logits = logits.clone()
        logits[-1, 3, 4] = value
        return logits

    with pytest.raises(FloatingPointError, match="not finite"):
        score(Changed(spoil))


def test_writing_into_the_tokens_does_not_reach_the_targets() -> None:
    def overwrite(_: nn.Module, logits: Tensor, tokens: Tensor) -> Tensor:
        tokens.zero_()
        return logits

    data = rows()
    assert score(Changed(overwrite), data) == score(Causal())
    assert torch.equal(data, rows())


def test_nothing_but_special_tokens_cannot_be_scored() -> None:
    with pytest.raises(ValueError, match="nothing but special tokens"):
        score(Causal(), torch.zeros(4, LENGTH + 1, dtype=torch.int64))


def test_state_hash_sees_every_bit() -> None:
    model = Changed(count_calls)
    before = state_hash(model)
    assert state_hash(Changed(count_calls)) == before
    model.calls.view(torch.uint8)[0] = 1  # type: ignore[operator,index]
    assert state_hash(model) != before
