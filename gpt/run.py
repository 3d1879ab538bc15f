"""One run of a genome: what `gpt.start()` returns."""

from __future__ import annotations

import gc
import math
import os
import random
import sys
import time
from collections.abc import Iterator
from typing import BinaryIO, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from gpt import summary
from gpt.batches import Rows, validation_rows
from gpt.by_hand import ByHand
from gpt.clock import Clock, Pace
from gpt.errors import ContractError, UserError
from gpt.export import hand_over
from gpt.harness import DEFAULT_SEQUENCE_LENGTH, Harness
from gpt.mfu import mfu_percent
from gpt.prepared import Prepared, mapped
from gpt.report import Report
from gpt.scoring import bits_per_byte
from gpt.state import state_hash

CURVE_POINTS = 64  # at most, in one box
PRINTED_POINTS = 8  # of them, when the genome runs by hand
VIOLATION = 3  # the exit code of a run that broke the contract

_started: list[Run | None] = []


class Run:
    """Data, clock and score of one time box. Raises UserError where corpus and settings do not go together.

    Attributes: `device` (torch.device), `seed`, `vocab_size`, `sequence_length` (tokens), `box` (seconds).
    """

    def __init__(self, harness: Harness, corpus: Prepared, device: torch.device) -> None:
        self.device = device
        self.seed = harness.seed
        self.box = harness.box
        self.sequence_length = sequence_length(harness, corpus)
        self.vocab_size = corpus.meta.vocab_size
        self._corpus = corpus
        self._splits = harness.splits
        self._validation_tokens = harness.validation_tokens
        self._clock = Clock(harness.box)
        self._report = Report(harness.report_fd)
        self._started_at = time.monotonic()
        self._rows: Rows | None = None  # what a run trains on is opened with its clock
        self._pace = Pace(time.monotonic if device.type == "cuda" else time.process_time)
        self._steps = 0
        self._tokens = 0
        self._next_point = 0
        self._next_printed = 0
        self._report.send("start", device=str(device), corpus=corpus.meta.fingerprint)

    @property
    def corpus_name(self) -> str:
        """Its name, and the fingerprint of its tokens."""
        return f"{self._corpus.meta.corpus} ({self._corpus.meta.fingerprint})"

    @property
    def progress(self) -> float:
        """How much of the box is over, 0..1."""
        return self._clock.progress

    def batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets until the box is over: both (batch_size, T) int64 on the run's device.

        The first batch of the run starts the clock; a second call goes on with the same clock and the
        same stream of rows. Raises ValueError for a batch size below 1, RuntimeError after `finish`.
        """
        self._check_size(batch_size)
        return self._batches(batch_size)

    def _batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        if self._clock.closed:
            raise RuntimeError("The run is finished: there are no more batches.")
        source = self._rows or self._open()
        behind: torch.Event | None = None
        while not self._clock.over:
            self._pace.serve()
            rows = self._to_device(source.draw(batch_size))
            self._steps += 1
            self._tokens += batch_size * self.sequence_length
            yield rows[:, :-1].contiguous(), rows[:, 1:].contiguous()
            if self.device.type == "cuda":
                # The host runs ahead of the GPU and draws the next batch while that is at the last step; more than
                # one step ahead, the clock would mean nothing.
                if behind is not None:
                    behind.synchronize()
                behind = torch.Event(self.device)
                behind.record()

    def _open(self) -> Rows:
        """Start the clock; before it, a run whose harness hands the training tokens over does not have them."""
        gc.collect()
        gc.disable()  # its pauses cost a GPU more than what it finds; `log` lets it look from time to time
        self._synchronize()  # what was queued before the box must not run inside it
        _, files = self._report.ask("open")
        try:
            tokens = mapped(files[0]) if files else self._corpus.train
        except UserError as error:
            self._end_unusable(error)
        self._rows = Rows(tokens, self.sequence_length, self.seed, packed=self._corpus.meta.row > 0)
        self._clock.open()
        return self._rows

    def _to_device(self, rows: Tensor) -> Tensor:
        """As int64, (B, T + 1), on the run's device; to a GPU from pinned memory, so that the host does not wait."""
        if self.device.type == "cuda":
            rows = rows.pin_memory().to(self.device, non_blocking=True)
        return rows.long()

    def warmup_batch(self, batch_size: int) -> tuple[Tensor, Tensor]:
        """Random tokens, shaped like a batch, to compile with. Raises RuntimeError once the clock runs."""
        self._check_size(batch_size)
        if self._clock.opened:
            raise RuntimeError("The clock runs: warm-up batches are for the time before the first batch.")
        generator = torch.Generator().manual_seed(self.seed)
        shape = (2, batch_size, self.sequence_length)
        x, y = torch.randint(self.vocab_size, shape, generator=generator).to(self.device)
        return x, y

    def log(self, loss: Tensor | float) -> None:
        """One point of the learning curve, in nats a token. Costs nothing unless a point is due.

        Raises FloatingPointError where a due loss is not finite, RuntimeError before the first batch.
        """
        if not self._clock.opened:
            raise RuntimeError("There is no loss to log before the first batch.")
        progress = self.progress
        due = int(progress * (CURVE_POINTS - 1))
        if due < self._next_point:
            return
        self._next_point = due + 1
        gc.collect(1)
        value = float(loss.detach() if isinstance(loss, Tensor) else loss)
        if not math.isfinite(value):
            raise FloatingPointError(f"The training loss is {value} at step {self._steps}, {progress:.0%} of the box.")
        self._report.send("point", progress=progress, loss=value, step=self._steps)
        if not self._report.connected and due >= self._next_printed:
            self._next_printed = due + CURVE_POINTS // PRINTED_POINTS
            print(f"step {self._steps:>6}  {progress:>4.0%} of {self.box:g} s  loss {value:.4f}", flush=True)

    def finish(self, model: nn.Module) -> None:
        """Stop the clock, score the model on the run's splits and print the summary.

        Ends the process on a broken contract (3), and where the validation tokens cannot be read (2).

        Raises RuntimeError when called twice or before any batch, FloatingPointError where the model's
        logits are not finite.
        """
        if not self._clock.opened:
            raise RuntimeError("There is nothing to finish: no batch was asked for.")
        self._synchronize()
        self._clock.close()
        gc.enable()
        seconds = self._clock.elapsed
        pace = {"last_step": self._pace.since, "longest_step": self._pace.longest}
        # Said before the validation tokens are here: what is scored later, here and elsewhere, must be this.
        state = state_hash(model) if isinstance(model, nn.Module) else ""
        counts = {"steps": self._steps, "tokens": self._tokens}
        _, files = self._report.ask("close", training_seconds=seconds, state=state, **counts, **pace)
        opened = time.monotonic()
        try:
            rows = self._validation(files)
            scores = {split: self._score(model, rows[split], state) for split in self._splits}
        except ContractError as violation:
            self._end_violated(violation)
        except UserError as error:
            self._end_unusable(error)
        first, *further = self._splits
        parameters = sum(parameter.numel() for parameter in model.parameters())
        constants = summary.constants(sys.modules["__main__"])
        memory = summary.peak_memory_mb(self.device)
        answer, files = self._report.ask(
            "result",
            val_bpb=scores[first],
            **{f"{split}_bpb": scores[split] for split in further},
            scoring_seconds=time.monotonic() - opened,
            parameters=parameters,
            peak_memory_mb=memory,
            constants=constants,
        )
        figures = summary.Summary(
            val_bpb=scores[first],
            training_seconds=seconds,
            total_seconds=time.monotonic() - self._started_at,
            peak_memory_mb=memory,
            mfu_percent=mfu_percent(self.device, model, self._tokens, seconds),
            tokens=self._tokens,
            steps=self._steps,
            parameters=parameters,
            depth=constants.get("DEPTH"),
        )
        print(figures, flush=True)
        if answer.get("again"):
            state_file, graph_file = files
            self._report.send("exported", reason=hand_over(model, self.device, state_file, graph_file))

    def _validation(self, files: list[BinaryIO]) -> dict[str, Tensor]:
        """The rows of each split, from what the harness handed over, or from the corpus where it handed nothing."""
        parts = map(mapped, files) if files else map(self._corpus.validation, self._splits)
        rows = [validation_rows(part, self.sequence_length, self._validation_tokens) for part in parts]
        return dict(zip(self._splits, rows, strict=True))

    def _score(self, model: nn.Module, rows: Tensor, state: str) -> float:
        token_bytes = torch.from_numpy(self._corpus.token_bytes.astype(np.int64))
        return bits_per_byte(model, rows.to(self.device), token_bytes.to(self.device), self.seed, state)

    def _end_violated(self, violation: ContractError) -> NoReturn:
        self._report.send("violation", reason=str(violation))
        print(f"Contract broken: {violation}", file=sys.stderr, flush=True)
        sys.exit(VIOLATION)

    @staticmethod
    def _end_unusable(error: UserError) -> NoReturn:
        print(error, file=sys.stderr, flush=True)
        sys.exit(2)

    def _synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @staticmethod
    def _check_size(batch_size: int) -> None:
        if batch_size < 1:
            raise ValueError(f"A batch of {batch_size} rows is none: the batch size must be at least 1.")


def start_run() -> Run:
    """The run that the GPT_* variables describe.

    By hand, what they do not say is taken from the arena.toml beside the script. A mistake in them ends the
    process with a sentence and code 2.
    """
    if _started:
        raise RuntimeError("gpt.start() was called before: a process trains one box.")
    try:
        arena = ByHand(None if "GPT_REPORT_FD" in os.environ else getattr(sys.modules["__main__"], "__file__", None))
        harness = Harness.from_environment(arena.variables(os.environ))
        device = _device(harness.device)
        run = Run(harness, Prepared(harness.data) if harness.data else arena.corpus(), device)
    except UserError as error:
        print(error, file=sys.stderr, flush=True)
        sys.exit(2)
    # A program that the genome starts must not write to the report by mistake.
    os.environ.pop("GPT_REPORT_FD", None)
    if harness.threads:
        torch.set_num_threads(harness.threads)
    random.seed(harness.seed)
    np.random.seed(harness.seed % 2**32)
    torch.manual_seed(harness.seed)
    _started.append(run)
    if harness.report_fd is None:
        print(f"{run.corpus_name}, {run.box:g} s on {device}, seed {run.seed}", flush=True)
    return run


def sequence_length(harness: Harness, corpus: Prepared) -> int:
    """Tokens of a row. Raises UserError where the corpus is packed for another length."""
    row = corpus.meta.row
    length = harness.sequence_length or (row - 1 if row else DEFAULT_SEQUENCE_LENGTH)
    if row and length != row - 1:
        raise UserError(
            f"GPT_SEQUENCE_LENGTH={length}, but the corpus in '{corpus.folder}' is packed for "
            f"{row - 1}: prepare it with --sequence-length {length}."
        )
    return length


def refuse_start() -> None:
    """For a process that trains nothing: `gpt.start()` raises in it."""
    _started.append(None)


def _device(wanted: str | None) -> torch.device:
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise UserError("GPT_DEVICE=cuda, but torch finds no CUDA device here. Use GPT_DEVICE=cpu.")
    return torch.device(wanted or ("cuda" if there else "cpu"))
