"""A trained model in a process of its own, which is asked for logits and sees nothing but tokens."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import math
import mmap
import os
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor

from gpt.errors import ContractError
from gpt.scoring import ROWS_PER_BATCH, Logits, eager

MAX_MESSAGE = 64 * 1024  # bytes
HIGHEST_DESCRIPTOR = 1 << 20
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446  # on every architecture
_PATH_BENEATH = 1
_WRITE_FILE = 1 << 1
_WRITING = _WRITE_FILE | sum(1 << right for right in range(4, 13))  # what makes, removes and writes files


class ModelFailed(Exception):  # noqa: N818 - named like the condition that the caller handles
    """The model cannot be had this way; the message says why."""


@dataclass(frozen=True)
class Shapes:
    """The largest batch that is asked for."""

    length: int  # tokens of a row
    vocab_size: int

    @property
    def tokens(self) -> int:
        return ROWS_PER_BATCH * self.length

    @property
    def bytes(self) -> int:
        """Of shared memory for a batch and its logits."""
        return self.tokens * (8 + 4 * self.vocab_size)


class ModelProcess:
    """A fork of this process that loads a model; call it with tokens (B, T) for logits (B, T, vocab).

    To be made before this process holds anything that a model must not see, and before torch has started threads or a
    GPU. The model is loaded when it is first asked; it works on `device`, and its logits come back there. Raises
    ModelFailed where it cannot be loaded or run, ContractError where it gives something else than logits.
    """

    def __init__(self, load: Callable[[], Logits], device: torch.device, shapes: Shapes, keep: list[int]) -> None:
        """`load` runs in the fork, which has no open files but those in `keep`."""
        self._memory = mmap.mmap(-1, shapes.bytes)
        self._shapes = shapes
        self._device = device
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        _keep_apart(parent=True)
        self._pid = os.fork()
        if self._pid:
            self._memory.madvise(mmap.MADV_DONTFORK)  # no other model may see what this one is asked and answers
        else:
            _keep_apart(parent=False)
            _close_all_but([0, 1, 2, theirs.fileno(), *keep])
            _serve(theirs, self._memory, shapes, device, load)
        theirs.close()

    def __call__(self, tokens: Tensor) -> Tensor:
        batch, logits = _views(self._memory, self._shapes)
        batch[: tokens.numel()] = tokens.flatten()
        with contextlib.suppress(BrokenPipeError):
            self._socket.send(json.dumps(list(tokens.shape)).encode())
        data = self._socket.recv(MAX_MESSAGE)
        if not data:
            raise ModelFailed("the process of the model ended")
        answer: dict[str, Any] = json.loads(data)
        if "failed" in answer:
            raise ModelFailed(str(answer["failed"]))
        if "broken" in answer:
            raise ContractError(str(answer["broken"]))
        shape = [int(size) for size in answer["shape"]]
        if min(shape, default=1) < 0 or math.prod(shape) > len(logits):
            raise ContractError(f"The model returned logits of shape {tuple(shape)}.")
        # A copy: that memory can be written by the model's process at any time.
        return logits[: math.prod(shape)].to(self._device, copy=True).view(shape)

    def close(self) -> None:
        self._socket.close()
        os.waitpid(self._pid, 0)


def _close_all_but(keep: list[int]) -> None:
    for low, high in itertools.pairwise([*sorted(keep), HIGHEST_DESCRIPTOR]):
        os.closerange(low + 1, high)


def _keep_apart(*, parent: bool) -> None:
    """Before and after a fork: keep the model's process from reading or tracing others, and from leaving them word.

    Two ways, of which a sandbox or an old kernel may refuse either: the process that scores forbids to be read; the
    model's goes into a Landlock domain of its own, from which nothing outside of it can be traced, and in which no file
    can be written or made (devices apart: a GPU is written to). (A third is Yama's, where the system has that: no
    process traces its parent.)
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if parent:
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        return
    handled = struct.pack("=Q", _WRITING)
    domain = libc.syscall(_LANDLOCK_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    if domain >= 0:
        devices = os.open("/dev", os.O_PATH | os.O_DIRECTORY)
        rule = struct.pack("=Qi", _WRITE_FILE, devices)
        libc.syscall(_LANDLOCK_ADD_RULE, domain, _PATH_BENEATH, rule, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.syscall(_LANDLOCK_RESTRICT_SELF, domain, 0)
        os.close(devices)
        os.close(domain)


def _views(memory: mmap.mmap, shapes: Shapes) -> tuple[Tensor, Tensor]:
    """The shared memory as tokens (n,) int64 and logits (m,) float32."""
    tokens = torch.frombuffer(memory, dtype=torch.int64, count=shapes.tokens)
    logits = torch.frombuffer(memory, dtype=torch.float32, offset=8 * shapes.tokens)
    return tokens, logits


def _serve(
    connection: socket.socket, memory: mmap.mmap, shapes: Shapes, device: torch.device, load: Callable[[], Logits]
) -> NoReturn:
    """The life of the fork: an answer for every batch, until the other side closes the connection."""
    model: Logits | None = None
    while request := connection.recv(MAX_MESSAGE):
        batch, room = _views(memory, shapes)
        shape = json.loads(request)
        try:
            model = model or load()
            with torch.no_grad(), eager():
                logits = model(batch[: math.prod(shape)].clone().view(shape).to(device))
            answer = _put(logits, room)
        except Exception as error:  # noqa: BLE001 - what a model raises, its own code chooses
            answer = {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
        connection.send(json.dumps(answer).encode())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _put(logits: object, room: Tensor) -> dict[str, Any]:
    if not isinstance(logits, Tensor):
        return {"broken": f"The model returned a {type(logits).__name__}, not logits."}
    if logits.numel() > len(room):
        return {"broken": f"The model returned logits of shape {tuple(logits.shape)}."}
    room[: logits.numel()] = logits.float().flatten()
    return {"shape": list(logits.shape)}
