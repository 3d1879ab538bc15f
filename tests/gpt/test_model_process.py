"""A model in a process of its own: tokens in, logits out, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gpt.errors import ContractError
from gpt.model_process import ModelFailed, ModelProcess, Shapes
from gpt.scoring import Logits

CPU = torch.device("cpu")
SHAPES = Shapes(length=5, vocab_size=3)
Start = Callable[..., ModelProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[ModelProcess] = []

    def make(model: Logits, keep: list[int] | None = None) -> ModelProcess:
        started.append(ModelProcess(lambda: model, CPU, SHAPES, keep or []))
        return started[-1]

    yield make
    for one in started:
        one.close()


def tokens(rows: int = 2, length: int = 5) -> Tensor:
    return torch.arange(rows * length).view(rows, length) % 3


def one_hot(batch: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(batch, 3)


def test_logits_come_back_as_float32(start: Start) -> None:
    model = start(one_hot)
    for batch in (tokens(), tokens(16), tokens(1, 2)):
        logits = model(batch)
        assert logits.dtype == torch.float32
        assert torch.equal(logits, one_hot(batch).float())


def test_an_answer_does_not_change_with_the_next(start: Start) -> None:
    model = start(one_hot)
    first = model(tokens())
    kept = first.clone()
    model(tokens() * 0)
    assert torch.equal(first, kept)


def test_what_a_model_raises_is_told(start: Start) -> None:
    def broken(_: Tensor) -> Tensor:
        raise KeyError("no such layer")

    with pytest.raises(ModelFailed, match="KeyError: 'no such layer'"):
        start(broken)(tokens())
    with pytest.raises(ModelFailed, match="ended"):
        start(lambda _: os._exit(0))(tokens())  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("answer", [None, torch.zeros(16, 5, 4)], ids=["nothing", "too much"])
def test_what_is_no_logits_is_a_breach(answer: Tensor, start: Start) -> None:
    with pytest.raises(ContractError, match="The model returned"):
        start(lambda _: answer)(tokens())


def test_it_has_no_other_files(start: Start, tmp_path: Path) -> None:
    secret = os.open(tmp_path, os.O_RDONLY)
    shared = os.open(tmp_path, os.O_RDONLY)

    def look(batch: Tensor) -> Tensor:
        return torch.tensor([float(_opens(fd)) for fd in (secret, shared)])

    try:
        assert start(look, [shared])(tokens()).tolist() == [0.0, 1.0]
    finally:
        os.close(secret)
        os.close(shared)


def test_it_can_leave_no_word_for_another(start: Start, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")

    def write(batch: Tensor) -> Tensor:
        done = []
        for name in ("there", "new"):
            try:
                (tmp_path / name).write_text("word")
                done.append(1.0)
            except OSError:
                done.append(0.0)
        with Path("/dev/null").open("w") as device:  # a GPU's are written to
            device.write("word")
        return torch.tensor(done)

    assert start(write)(tokens()).tolist() == [0.0, 0.0]


def test_it_does_not_have_the_memory_in_which_another_answers(start: Start) -> None:
    def shared(batch: Tensor) -> Tensor:
        return torch.tensor(float(Path("/proc/self/maps").read_text().count("/dev/zero (deleted)")))

    assert [start(shared)(tokens()).item() for _ in range(3)] == [1.0, 1.0, 1.0]


def _opens(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
