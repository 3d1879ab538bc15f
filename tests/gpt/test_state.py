"""The numbers of a model: named, hashed, written and read without running anything."""

from __future__ import annotations

import io
import os
import pickle

import pytest
import torch
from torch import nn

from gpt import state


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(3, 3)
        self.tied = self.first
        self.register_buffer("table", torch.arange(4.0), persistent=False)


def test_all_parameters_and_buffers_count_once() -> None:
    assert set(state.tensors(Model())) == {"first.weight", "first.bias", "table"}
    assert set(state.tensors(torch.compile(Model()))) == {"first.weight", "first.bias", "table"}


def test_what_is_read_is_what_was_written() -> None:
    model, file = Model(), io.BytesIO()
    state.save(state.tensors(model), file)
    read = state.load(file)
    assert state.hash_of(read) == state.state_hash(model)
    assert torch.equal(read["table"], torch.arange(4.0))


def test_the_hash_follows_names_shapes_types_and_numbers() -> None:
    one = torch.zeros(4)
    others = [{"b": one}, {"a": one[:2]}, {"a": one.view(2, 2)}, {"a": one.int()}, {"a": one + 1}, {}]
    assert len({state.hash_of(each) for each in [{"a": one}, *others]}) == 7


def test_every_part_of_a_large_tensor_counts_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "CHUNK", 8)
    one = torch.arange(6.0)  # three parts
    others = [one.flip(0), *(one + torch.eye(6)[place] for place in range(6)), one[[2, 3, 0, 1, 4, 5]]]
    assert len({state.tensor_hash(each) for each in [one, *others]}) == 9
    assert state.tensor_hash(one.clone()) == state.tensor_hash(one)


class Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch escaped",)


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04 no archive", pickle.dumps(Payload()), pickle.dumps([1])], ids=["", "zip", "code", "list"]
)
def test_another_file_is_refused_and_not_run(data: bytes, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="the file of the model's state"):
        state.load(io.BytesIO(data))
    file = io.BytesIO()
    torch.save({"a": Payload()}, file)
    with pytest.raises(ValueError, match="the file of the model's state"):
        state.load(file)
    assert not list(tmp_path.iterdir())
