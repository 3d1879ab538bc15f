"""The CPU arena's seed genome: it runs by hand, and so does what its comments promise."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from gpt.scoring import bits_per_byte

GENOME = Path(__file__).resolve().parents[2] / "genomes" / "gpt_cpu" / "train.py"
SPACE = re.compile(r"^([A-Z][A-Z0-9_]*) = (\S+)  # (range|choices): (.+)$", re.MULTILINE)
VOCAB, LENGTH = 64, 16


def space() -> dict[str, list[str]]:
    """The ends of every range, and every choice, as they would stand in the source."""
    found = {}
    for name, value, kind, text in SPACE.findall(GENOME.read_text()):
        if kind == "range":
            low, high = text.removesuffix(" log").split("..")
            assert float(low) <= float(value) <= float(high), name
            assert not text.endswith("log") or float(low) > 0, name
            found[name] = [low, high]
        else:
            found[name] = [f'"{word}"' if value.startswith('"') else word for word in text.split()]
            assert value in found[name], name
    return found


def load(tmp_path: Path, **changed: str) -> dict[str, Any]:
    """The genome's names with some constants changed."""
    source = GENOME.read_text()
    for name, value in changed.items():
        source, count = re.subn(rf"(?m)^{name} = \S+", f"{name} = {value}", source)
        assert count == 1
    path = tmp_path / "train.py"
    path.write_text(source)
    return runpy.run_path(str(path), run_name="genome")


def train(genome: dict[str, Any], steps: int = 2) -> tuple[nn.Module, float]:
    """A few steps on a text of one repeated line; returns the model and its last loss."""
    torch.manual_seed(0)
    run = SimpleNamespace(vocab_size=VOCAB, sequence_length=LENGTH, device=torch.device("cpu"))
    model = genome["build_model"](run)
    optimizers = genome["build_optimizers"](model)
    text = torch.arange(4 * (LENGTH + 1)).view(4, -1) % VOCAB
    for step in range(steps):
        loss = nn.functional.cross_entropy(model(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())
        model.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step(genome["schedule"](step / steps))
    return model, loss.item()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Matrices this small are slower on several threads, and very slow where other processes need the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


CASES = [(name, value) for name, values in space().items() for value in values]


@pytest.mark.parametrize(("name", "value"), CASES)
def test_every_end_of_the_search_space_trains(tmp_path: Path, name: str, value: str) -> None:
    model, loss = train(load(tmp_path, **{name: value}))
    assert loss < 100
    rows = torch.arange(20 * (LENGTH + 1)).view(20, -1) % VOCAB
    assert 0 < bits_per_byte(model, rows, torch.ones(VOCAB, dtype=torch.int64)) < 100


def test_hard_corners_of_the_search_space_train(tmp_path: Path) -> None:
    corners = [
        {"WIDTH": "32", "HEADS": "8", "MLP_RATIO": "1.0", "NEWTON_SCHULZ_STEPS": "1"},
        {"ZERO_INIT": "True", "NORM": '"post"', "EMBEDDING_SKIP": "True", "WARMUP": "0.0", "COOLDOWN": "1.0"},
        {"TIED_EMBEDDINGS": "True", "PARALLEL_BLOCKS": "True", "OPTIMIZER": '"adamw"', "MATRIX_LR": "0.1"},
    ]
    for corner in corners:
        _, loss = train(load(tmp_path, **corner))
        assert loss < 100


def test_it_learns(tmp_path: Path) -> None:
    _, loss = train(load(tmp_path, WARMUP="0.0"), steps=60)
    assert loss < 1.0  # from ln 64 = 4.2


def test_orthogonalized_matrices_have_singular_values_near_one(tmp_path: Path) -> None:
    orthogonalize = load(tmp_path)["orthogonalize"]
    torch.manual_seed(0)
    for shape in ((32, 32), (16, 64), (64, 16)):
        values = torch.linalg.svdvals(orthogonalize(torch.randn(shape)))
        assert values.min() > 0.3
        assert values.max() < 1.3


def test_the_optimizer_is_adamw(tmp_path: Path) -> None:
    genome = load(tmp_path)
    torch.manual_seed(0)
    start, target = torch.randn(5, 3), torch.randn(5, 3)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    betas = (genome["ADAM_BETA1"], genome["ADAM_BETA2"])
    reference = torch.optim.AdamW([theirs], lr=0.01, betas=betas, eps=1e-8, weight_decay=genome["WEIGHT_DECAY"])
    optimizer = genome["AdamW"]([ours], 0.01)
    for _ in range(5):
        for parameter in (ours, theirs):
            parameter.grad = 2 * (parameter.detach() - target)
        optimizer.step(1.0)
        reference.step()
    torch.testing.assert_close(ours, theirs)


def test_it_runs_by_hand(tmp_path: Path) -> None:
    """Nothing is said of data or seed: it prepares the default corpus itself and prints lines for a reader."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GPT_")}
    environment |= {"EVOLVE_CACHE": str(tmp_path), "GPT_BOX": "0.5", "GPT_THREADS": "1"}
    done = subprocess.run([sys.executable, str(GENOME)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Encoding" in done.stderr
    assert done.stdout.startswith("stdlib (")
    assert re.search(r"^step +\d+ +\d+% of 0.5 s  loss \d", done.stdout, re.MULTILINE)
    summary = dict(re.findall(r"^(\w+): +(\S+)$", done.stdout, re.MULTILINE))
    assert 0 < float(summary["val_bpb"]) < 10
    assert float(summary["training_seconds"]) >= 0.5
    assert int(summary["num_steps"]) >= 1
    assert summary["depth"] == "3"
