"""A script of the de-facto `prepare` interface, unchanged, over a corpus of ours."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gpt import corpus as corpora
from gpt.batches import validation_rows
from gpt.prepare import prepare
from tests.gpt.text import write_corpus

ADAPTER = Path(__file__).parents[2] / "benchmarks" / "adapter"
SCRIPT = """
import json, time
import torch
from kernels import get_kernel
from prepare import MAX_SEQ_LEN, TIME_BUDGET, Tokenizer, evaluate_bpb, make_dataloader

tokenizer = Tokenizer.from_directory()
vocab = tokenizer.get_vocab_size()

class Uniform(torch.nn.Module):
    def forward(self, x, y, reduction="mean"):
        return torch.nn.functional.cross_entropy(torch.zeros(y.numel(), vocab), y.flatten(), reduction=reduction)

loader = make_dataloader(tokenizer, 4, MAX_SEQ_LEN, "train")
x, y, epoch = next(loader)
held, _, _ = next(make_dataloader(tokenizer, 4, MAX_SEQ_LEN, "val"))
flash = get_kernel("any/kernel").flash_attn_interface.flash_attn_func
q = torch.randn(1, 12, 2, 8)
whole = flash(q, q, q, causal=True, window_size=(-1, 0))
near = flash(q, q, q, causal=True, window_size=(3, 0))
print(json.dumps({
    "box": TIME_BUDGET, "length": MAX_SEQ_LEN, "vocab": vocab, "epoch": epoch, "shape": list(x.shape),
    "next": bool((x[:, 1:] == y[:, :-1]).all()), "bos": bool((x[:, 0] == tokenizer.get_bos_token_id()).all()),
    "held": held.tolist(), "same": (whole - near)[:, :4].abs().max().item(), "other": (whole - near).abs().max().item(),
    "text": tokenizer.decode(x[0].tolist()),
}))
print(f"val_bpb: {evaluate_bpb(Uniform(), tokenizer, 4):.6f}")
"""


def test_a_script_finds_what_it_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVOLVE_CACHE", str(tmp_path / "cache"))
    corpus = prepare(corpora.folder(write_corpus(tmp_path / "text")), 300, length=24)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    path = os.pathsep.join(map(str, (ADAPTER, ADAPTER / "without_kernels", ADAPTER.parents[1])))
    variables = {"PYTHONPATH": path, "GPT_DATA": str(corpus.folder), "GPT_BOX": "7.5", "GPT_VALIDATION_TOKENS": "480"}
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, **variables, "GPT_DEVICE": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    found = json.loads(first)
    assert (found["box"], found["length"], found["vocab"], found["epoch"]) == (7.5, 24, 300, 1)
    assert found["shape"] == [4, 24] and found["next"] and found["bos"] and found["text"]
    assert found["same"] < 1e-6 < found["other"]
    rows = validation_rows(corpus.validation("search"), 24, 480)
    assert found["held"] == rows[:4, :-1].tolist()
    lengths = torch.from_numpy(corpus.token_bytes.astype("int64"))[rows[:, 1:]]
    assert float(last.split()[1]) == pytest.approx(
        math.log2(300) * int((lengths > 0).sum()) / int(lengths.sum()), rel=1e-5
    )
