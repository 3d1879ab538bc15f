"""Scores a trained model once more, in processes that its training never touched: `main()`.

The harness starts this like a genome, with the same variables, after the genome's own processes are gone. The answer
to `open` brings the genome's source, the model's state and the model as a graph, that to `close` the validation tokens.
The model runs in processes of their own (`gpt.model_process`): as `build_model` makes it, and where there is one, as
the graph, without any code of the genome. This process computes the scores from the logits that come back; both must
be the same, and the graph's counts.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor, nn

from gpt.batches import validation_rows
from gpt.errors import ContractError
from gpt.harness import Harness
from gpt.model_process import ModelFailed, ModelProcess, Shapes
from gpt.prepared import Prepared, mapped
from gpt.report import Report
from gpt.run import VIOLATION, refuse_start, sequence_length
from gpt.scoring import TESTED, Logits, nats_of_rows, per_byte
from gpt.state import hash_of, load, tensor_hash, tensors

UNKNOWN = 16  # numbers of a graph that may be neither parameters nor buffers
TESTED_AGAIN = 512  # rows of each split that are tested
ROW_TOLERANCE = 0.02  # nats a token: what two computations of a row's mean may differ by, half precision included
TOTAL_TOLERANCE = 1e-3  # of the nats of all rows
UNSCORED = 4  # exit code where the model cannot be had in any way


@dataclass(frozen=True)
class Settings:
    """What `build_model(run)` may read of a run."""

    device: torch.device
    seed: int
    vocab_size: int
    sequence_length: int
    box: float


def main() -> None:
    """Report the score (`result`), or how the contract was broken (`violation`); ends the process where it fails."""
    harness = Harness.from_environment()
    assert harness.data is not None and harness.report_fd is not None
    corpus = Prepared(harness.data)
    device = torch.device(harness.device or "cpu")
    settings = Settings(device, harness.seed, corpus.meta.vocab_size, sequence_length(harness, corpus), harness.box)
    os.environ.pop("GPT_REPORT_FD", None)
    # A file that another process loads must not run code by being loaded (torch's own switch).
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    report = Report(harness.report_fd)
    report.send("start", device=str(device), corpus=corpus.meta.fingerprint)
    _, (source, saved, graph) = report.ask("open")
    keep = [file.fileno() for file in (source, saved, graph)]
    shapes = Shapes(settings.sequence_length, settings.vocab_size)

    def fork(make: Callable[[], Logits]) -> ModelProcess:
        return ModelProcess(make, device, shapes, keep)

    # Forked now, while there is nothing here that a model must not see.
    by_code, by_graph = partial(_of_code, source, saved, settings), partial(_of_graph, graph, saved)
    code = fork(by_code), fork(by_code)
    graphs = (fork(by_graph), fork(by_graph)) if os.fstat(graph.fileno()).st_size else None
    _, files = report.ask("close", training_seconds=0.0, steps=0, tokens=0, state=hash_of(load(saved)))
    # Not before the forks, which a GPU that has been started would not survive.
    rows = [
        validation_rows(mapped(file), settings.sequence_length, harness.validation_tokens).to(device) for file in files
    ]
    token_bytes = torch.from_numpy(corpus.token_bytes.astype(np.int64)).to(device)
    way = "code"
    try:
        nats = [nats_of_rows(*code, some, token_bytes, secrets.randbits(63), TESTED_AGAIN) for some in rows]
        if graphs is not None:
            with contextlib.suppress(ModelFailed):
                of_graph = [nats_of_rows(*graphs, some, token_bytes, secrets.randbits(63), TESTED) for some in rows]
                for one, other, some in zip(of_graph, nats, rows, strict=True):
                    _compare(one, other, some)
                way, nats = "graph", of_graph
    except ModelFailed as failure:
        print(f"The trained model cannot be scored again: {failure}", file=sys.stderr, flush=True)
        sys.exit(UNSCORED)
    except ContractError as violation:
        report.send("violation", reason=str(violation))
        sys.exit(VIOLATION)
    scores = [per_byte(one, some, token_bytes) for one, some in zip(nats, rows, strict=True)]
    named = {f"{split}_bpb": score for split, score in zip(harness.splits, scores, strict=True)}
    report.send("result", val_bpb=scores[0], **named, model=way)


def _compare(graph: Tensor, code: Tensor, rows: Tensor) -> None:
    """Whether graph and code give rows (N, T + 1) the same nats, (N,). Raises ContractError.

    The graph was made when its process had seen the rows, and could hold them in its operations; source and state were
    there before.
    """
    apart = (graph - code).abs() / (rows.shape[1] - 1)
    total = (graph.sum() - code.sum()).abs() / code.sum()
    if apart.max() > ROW_TOLERANCE or total > TOTAL_TOLERANCE:
        raise ContractError("The graph of the model gives other predictions than the model that its code builds.")


def _of_graph(file: BinaryIO, saved: BinaryIO) -> Logits:
    """The model from a graph without memory, of which every number must be one of the saved state."""
    known = {tensor_hash(tensor) for tensor in load(saved).values()}
    file.seek(0)
    program = torch.export.load(file)
    if program.graph_signature.buffers_to_mutate or program.graph_signature.user_inputs_to_mutate:
        raise ModelFailed("it changes its buffers or its input when it is asked")
    own = [*program.state_dict.values(), *program.constants.values()]
    unknown = sum(one.numel() for one in own if isinstance(one, Tensor) and tensor_hash(one) not in known)
    if unknown > UNKNOWN:
        raise ModelFailed(f"{unknown} numbers of it are no parameters or buffers of the trained model")
    return program.module()


def _of_code(source: BinaryIO, saved: BinaryIO, settings: Settings) -> Logits:
    """The model from `build_model`, with every parameter and buffer replaced by that of the saved state."""
    refuse_start()
    source.seek(0)
    state = load(saved)
    module = types.ModuleType("genome")
    sys.modules["genome"] = module
    exec(compile(source.read(), "genome.py", "exec", dont_inherit=True), module.__dict__)
    torch.manual_seed(settings.seed)
    model: nn.Module = module.build_model(settings)
    own = tensors(model)
    if {name: one.shape for name, one in own.items()} != {name: one.shape for name, one in state.items()}:
        raise ModelFailed("build_model gives other parameters and buffers than the trained model has")
    for name, tensor in own.items():
        tensor.data = state[name].to(settings.device)
    return model.eval()
