"""The numbers that a trained model consists of: their names, a hash, and a file of them."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from typing import BinaryIO

import torch
from torch import Tensor, nn


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
    flat = tensor.detach().cpu().contiguous().flatten()
    digest = hashlib.sha256(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
    digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


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
