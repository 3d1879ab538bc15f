"""Scores a trained model once more, in processes that its training never touched: `main()`.

The harness starts this like a genome, with the same variables, after the genome's own processes are gone. The answer
to `open` brings the genome's source, the model's state and the model as a graph, that to `close` the validation tokens.
The model runs in a process of its own (`gpt.model_process`): as the graph, without any code of the genome, or
where there is none, as `build_model` makes it. This process computes the score from the logits that come back.
"""

from __future__ import annotations

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
from gpt.scoring import ROWS_PER_BATCH, Logits, agree, score_logits
from gpt.state import hash_of, load, tensor_hash, tensors

UNKNOWN = 16  # numbers of a graph that may be neither parameters nor buffers
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
    by_code = partial(_of_code, source, saved, settings)
    models = {"graph": fork(partial(_of_graph, graph, saved)), "code": fork(by_code)}
    stranger = fork(by_code)
    if not os.fstat(graph.fileno()).st_size:
        del models["graph"]
    _, files = report.ask("close", training_seconds=0.0, steps=0, tokens=0, state=hash_of(load(saved)))
    # Not before the forks, which a GPU that has been started would not survive.
    rows = [
        validation_rows(mapped(file), settings.sequence_length, harness.validation_tokens).to(device) for file in files
    ]
    token_bytes = torch.from_numpy(corpus.token_bytes.astype(np.int64)).to(device)
    reasons = []
    for way, model in models.items():
        try:
            scores = [score_logits(model, some, token_bytes, secrets.randbits(63)) for some in rows]
            if way == "code":
                _compare(model, stranger, rows[0])
        except ModelFailed as failure:
            reasons.append(f"{way}: {failure}")
            continue
        except ContractError as violation:
            report.send("violation", reason=str(violation))
            sys.exit(VIOLATION)
        named = {f"{split}_bpb": score for split, score in zip(harness.splits, scores, strict=True)}
        report.send("result", val_bpb=scores[0], **named, model=way)
        return
    print("The trained model cannot be scored again, " + "; ".join(reasons), file=sys.stderr, flush=True)
    sys.exit(UNSCORED)


def _compare(model: Logits, stranger: Logits, rows: Tensor) -> None:
    """A process that has not seen these rows, and sees them go on otherwise, must give the same before that.

    What a model has learned from the rows that it was scored on, or remembers of them, is not in it. A graph has no
    memory. The stranger is asked first, because it was forked last and sees the memory that the other one answers in.
    """
    some = rows[torch.randperm(len(rows))[:ROWS_PER_BATCH], :-1]  # (b, T)
    others = rows[torch.randperm(len(rows))[: len(some)], :-1]
    cuts = torch.randint(1, some.shape[1], (len(some), 1))
    kept = (torch.arange(some.shape[1]) < cuts).to(some.device)
    expected = stranger(torch.where(kept, some, others))[kept]
    if not agree(model(some)[kept], expected):
        raise ContractError("The model's logits depend on later tokens, or on rows that it was scored on before.")


def _of_graph(file: BinaryIO, saved: BinaryIO) -> Logits:
    """The model from a graph, of which every number must be one of the saved state."""
    known = {tensor_hash(tensor) for tensor in load(saved).values()}
    file.seek(0)
    program = torch.export.load(file)
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
