"""The numbers that a trained model consists of: their names, a hash, and a file of them."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import torch
from torch import Tensor, nn

CHUNK = 1 << 26  # bytes that one core hashes at a time: a model of a GPU has a gigabyte and more, while that waits


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers by name, also buffers that are outside the state_dict."""
    model = plain(model)
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def plain(model: nn.Module) -> nn.Module:
    """The module that `torch.compile` wrapped; another one as it is."""
    inner = getattr(model, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else model


def state_hash(model: nn.Module) -> str:
    """A hash of their names, shapes, types and bytes."""
    return hash_of(tensors(model))


def hash_of(named: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(named):
        digest.update(f"{name} {tensor_hash(named[name])}\n".encode())
    return digest.hexdigest()


def tensor_hash(tensor: Tensor) -> str:
    """A hash of shape, type and bytes."""
    data = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
    digest = hashlib.sha256(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
    for one in _hashes([data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]):
        digest.update(one)
    return digest.hexdigest()


def _hashes(chunks: list[memoryview]) -> Iterable[bytes]:
    if len(chunks) < 2:
        return map(_hash, chunks)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(_hash, chunks))


def _hash(data: memoryview) -> bytes:
    return hashlib.sha256(data).digest()


def save(named: Mapping[str, Tensor], file: BinaryIO) -> None:
    torch.save({name: tensor.detach().cpu() for name, tensor in named.items()}, file)


def load(file: BinaryIO) -> dict[str, Tensor]:
    """What `save` wrote, on the CPU; nothing in the file is executed. Raises ValueError where it is something else."""
    file.seek(0)
    try:
        named = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise ValueError(f"the file of the model's state cannot be read: {error}") from error
    if not isinstance(named, dict) or not all(isinstance(value, Tensor) for value in named.values()):
        raise ValueError("the file of the model's state holds something else than named tensors")
    return named
