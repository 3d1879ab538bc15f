"""The H100 arena's genomes, in small on a CPU: by hand, under the engine, and piece by piece."""

from __future__ import annotations

import math
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from evolve import arena as arenas
from evolve.archive.repository import Archive
from evolve.evaluation.worker import run_trial
from evolve.individual import FRESH, Individual, MinimisedFitness, Status
from evolve.rundir import RunDirectory
from evolve.trials import TrialMaker, prepare
from evolve.variation.catalogue import constants
from gpt.mfu import flops_per_token
from gpt.scoring import bits_per_byte
from tests.command import evolve
from tests.genomes.tiny import CONSTANTS, H100, tiny, tiny_arena
from tests.gpt.text import write_corpus

VOCAB, LENGTH = 300, 32
RUN = SimpleNamespace(vocab_size=VOCAB, sequence_length=LENGTH, device=torch.device("cpu"))
SCRIPTS = pytest.mark.parametrize("script", sorted(CONSTANTS))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Matrices this small are slower on several threads, and very slow where other processes need the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The arena in small; its corpus is prepared when the first asks, and kept."""
    root = tmp_path_factory.mktemp("h100")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVOLVE_CACHE", str(root / "cache"))
        yield tiny_arena(root / "gpt_h100", write_corpus(root / "text"))


def load(tmp_path: Path, script: str = "train.py", **changes: object) -> dict[str, Any]:
    """The names of a script in small with some constants changed."""
    path = tmp_path / script
    path.write_text(tiny(script, **changes), encoding="utf-8")
    return runpy.run_path(str(path), run_name="genome")


def train(genome: dict[str, Any], steps: int = 3) -> tuple[nn.Module, float]:
    """A few steps on a text of one repeated line, as the script takes them; gives the model and its last loss."""
    torch.manual_seed(0)
    model = genome["build_model"](RUN)
    text = torch.arange(8 * (LENGTH + 1)).view(8, -1) % VOCAB
    x, y = text[:, :-1], text[:, 1:]
    if "build_optimizer" in genome:  # vanilla.py
        optimizer = genome["build_optimizer"](model)
        for _ in range(steps):
            loss = nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
            model.zero_grad()
            loss.backward()
            optimizer.step()
        return model, loss.item()
    muon, adam = genome["build_optimizers"](model, RUN.device)
    for step in range(steps):
        loss = genome["gradients"](model, genome["mean_loss"], x, y)
        muon.step(genome["schedule"](step / steps), 0.9, 0.2)
        adam.step(genome["schedule"](step / steps))
        model.zero_grad(set_to_none=True)
    return model, loss.item()


@SCRIPTS
def test_every_constant_says_what_it_may_be(script: str) -> None:
    source = (H100 / script).read_text(encoding="utf-8")
    written = set(re.findall(r"(?m)^([A-Z][A-Z0-9_]*) = ", source)) - {"POLAR_EXPRESS"}
    assert {one.name for one in constants(source)} == written
    for one in constants(source):
        one.check(one.value)


@SCRIPTS
def test_by_hand_it_takes_its_arenas_corpus_and_box(script: str, small: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GPT_")}
    done = subprocess.run(
        [sys.executable, str(small / script)],
        env={**kept, "GPT_THREADS": "1", "PYTHONPATH": str(H100.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^text \(\w+\), 0.5 s on cpu, seed 0$", done.stdout, re.MULTILINE)
    score = re.search(r"^val_bpb: +([\d.]+)$", done.stdout, re.MULTILINE)
    assert score and 0.5 < float(score[1]) < math.log2(VOCAB)
    assert f"depth:            {CONSTANTS[script]['DEPTH']}" in done.stdout


def test_the_engine_searches_from_it(small: Path, tmp_path: Path) -> None:
    plan = ("--arena", small, "--out", "run", "--pop", 2, "--gens", 2, "--max-evals", 5, "--workers", 1)
    done = evolve(*plan, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "compiling  the seed genome, once for all runs" in done.stdout
    assert "arena      gpt_h100" in done.stdout
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        outcomes = [outcome for _, outcome in archive.in_order()]
        assert len(outcomes) == 5
        assert [one.score is not None for one in outcomes[:3]] == [True] * 3  # the seed genome's
        assert outcomes[0].constants["DEPTH"] == 2 and outcomes[0].constants["MATRIX_LR"] == 0.04


@SCRIPTS
@pytest.mark.parametrize("way", ["graph", "code"])
def test_its_model_is_scored_again_with_its_code_and_without(
    script: str, way: str, small: Path, tmp_path: Path
) -> None:
    arena = replace(arenas.load(str(small)), script=script)
    seed = arena.seed_genome
    if way == "code":  # what looks at values has no graph
        looking = r"\1\n        assert int(tokens.min()) >= 0"
        seed = re.sub(r"(?m)^(    def forward\(self, tokens\):  # .* vocab\))$", looking, seed)
        assert seed != arena.seed_genome
    trial = TrialMaker(arena, prepare(arena), RunDirectory(tmp_path)).dry(seed, 0)
    outcome = run_trial(trial.always_rescored())
    assert (outcome.status, outcome.verified) == (Status.OK, way), outcome.reason
    assert outcome.score == pytest.approx(outcome.reported, rel=1e-6)


def test_a_fresh_run_is_scored_on_the_other_splits(small: Path, tmp_path: Path) -> None:
    arena = replace(arenas.load(str(small)), preload=("torch",), script="vanilla.py", time_box=0.2)
    make_trial = TrialMaker(arena, prepare(arena), RunDirectory(tmp_path))
    seed = Individual(
        0,
        (),
        operator="seed",
        idea="",
        generation=0,
        commit="",
        read_genome=lambda _: arena.seed_genome,
        fitness=MinimisedFitness(),
    )
    for replicate in (0, FRESH):
        outcome = run_trial(make_trial(seed, replicate))
        assert outcome.score is not None, outcome
        assert (outcome.locked is not None) == outcome.fresh == (replicate == FRESH)
        assert outcome.locked != outcome.score


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"BIGRAM_ROWS": 0, "TRIGRAM_ROWS": 0, "DEPTH": 3, "ACTIVATION": "gelu"},
        {"TRIGRAM_ROWS": 0, "WINDOW_PATTERN": "L", "MICRO_ROWS": 8, "ACTIVATION": "silu"},
        {"SHORT_WINDOW": 1024, "DEPTH": 1, "MLP_RATIO": 2.0, "WIDTH": 64},
    ],
)
def test_it_learns_and_is_scored_whatever_its_shape(tmp_path: Path, changes: dict[str, object]) -> None:
    genome = load(tmp_path, **changes)
    model, loss = train(genome, 30)
    assert loss < 4.0 < math.log(VOCAB)
    rows = torch.arange(20 * (LENGTH + 1)).view(20, -1) % VOCAB
    assert 0 < bits_per_byte(model, rows, torch.ones(VOCAB, dtype=torch.int64)) < 5


def test_the_plain_one_learns_too(tmp_path: Path) -> None:
    model, loss = train(load(tmp_path, "vanilla.py", LEARNING_RATE=0.01), 30)
    assert loss < 3.0
    rows = torch.arange(20 * (LENGTH + 1)).view(20, -1) % VOCAB
    assert 0 < bits_per_byte(model, rows, torch.ones(VOCAB, dtype=torch.int64)) < 8


@SCRIPTS
def test_its_graph_computes_what_it_does_at_any_size(tmp_path: Path, script: str) -> None:
    model = load(tmp_path, script)["build_model"](RUN).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    auto = torch.export.Dim.AUTO
    example = torch.zeros((4, 8), dtype=torch.int64)
    with torch.no_grad():
        graph = torch.export.export(model, (example,), dynamic_shapes=({0: auto, 1: auto},)).module()
        tokens = torch.randint(VOCAB, (3, LENGTH), generator=torch.Generator().manual_seed(0))
        assert torch.allclose(graph(tokens), model(tokens), atol=1e-4)


@SCRIPTS
def test_operations_are_counted_with_attention(tmp_path: Path, script: str) -> None:
    model = load(tmp_path, script)["build_model"](RUN)
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    spans = [17, LENGTH] if script == "train.py" else [LENGTH, LENGTH]
    assert flops_per_token(model) == 6 * sum(layer.weight.numel() for layer in layers) + 12 * 32 * sum(spans)


def test_a_window_ends_where_it_says(tmp_path: Path) -> None:
    attend = load(tmp_path)["attend"]
    q, k, v = torch.randn(3, 2, 10, 2, 8).unbind()
    scores = torch.einsum("bthd,bshd->bhts", q, k) / math.sqrt(8)
    t = torch.arange(10)
    for window in (0, 3, 10, None):
        seen = (t[:, None] >= t) & (t[:, None] - t <= (10 if window is None else window))
        expected = torch.einsum("bhts,bshd->bthd", scores.masked_fill(~seen, -math.inf).softmax(-1), v)
        assert torch.allclose(attend(q, k, v, window, None), expected, atol=1e-5)


def test_torchs_own_flash_attention_takes_what_a_gpu_will_give_it() -> None:
    names = [one.name for one in torch.ops.aten._flash_attention_forward.default._schema.arguments]
    assert names[:10] == ["query", "key", "value", "cum_seq_q", "cum_seq_k", "max_q", "max_k", "dropout_p"] + [
        "is_causal",
        "return_debug_mask",
    ]
    assert {"window_size_left", "window_size_right"} <= set(names)


def test_an_ngram_is_the_last_tokens_and_no_others(tmp_path: Path) -> None:
    hashed = load(tmp_path)["hashed"]
    tokens = torch.randint(8192, (4, 500), generator=torch.Generator().manual_seed(0))
    for order in (2, 3):
        rows = hashed(tokens, order, 1 << 18)
        assert rows.min() >= 0 and rows.max() < 1 << 18
        assert len(rows.unique()) > 0.98 * rows.numel()  # hardly two share a row
        changed = tokens.clone()
        changed[:, 100] = (changed[:, 100] + 1) % 8192
        differ = (hashed(changed, order, 1 << 18) != rows).any(0).nonzero().flatten().tolist()
        assert differ == list(range(100, 100 + order))
    assert torch.equal(hashed(tokens[:, :1], 3, 512), hashed(tokens, 3, 512)[:, :1])


def test_matrices_become_nearly_orthogonal(tmp_path: Path) -> None:
    orthogonalize = load(tmp_path)["orthogonalize"]
    for shape in ((3, 16, 64), (3, 64, 16), (2, 32, 32)):
        values = torch.linalg.svdvals(orthogonalize(torch.randn(shape)))
        assert values.max() < 1.3 and values.median() > 0.7


def graphs(tmp_path: Path, **changes: object) -> list[str]:
    """What torch.compile is given of one training step: its graphs, in order."""
    genome = load(tmp_path, DEPTH=1, **changes)
    found: list[str] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        found.append(graph.code + " ".join(str(tuple(one.shape)) for one in inputs if isinstance(one, torch.Tensor)))
        return graph.forward

    torch._dynamo.reset()
    model = genome["build_model"](RUN)
    muon, adam = genome["build_optimizers"](model, RUN.device)
    loss_of, muon.update, adam.update = (
        torch.compile(one, backend=backend, dynamic=False) for one in (genome["mean_loss"], muon.update, adam.update)
    )
    for region in (model.lookup, *model.blocks):
        region.compile(backend=backend, dynamic=False)
    x = torch.randint(VOCAB, (8, LENGTH))
    for step in range(2):
        genome["gradients"](model, loss_of, x, x)
        muon.step(1.0 - 0.5 * step, 0.85 + 0.1 * step, 0.2)
        adam.step(1.0 - 0.5 * step)
        model.zero_grad(set_to_none=True)
    torch._dynamo.reset()
    return found


def test_another_number_compiles_nothing_anew(tmp_path: Path) -> None:
    before = graphs(tmp_path)
    assert len(before) < 12
    numbers = {"LOGIT_SOFTCAP": 20.0, "QK_SCALE": 1.3, "ROTARY_BASE": 5e4, "INIT_SCALE": 0.5, "SKIP_INIT": 0.1}
    rates = {"MATRIX_LR": 0.03, "MATRIX_BETA2": 0.9, "MATRIX_DECAY": 0.1, "EMBEDDING_LR": 0.5, "ADAM_BETA1": 0.7}
    assert graphs(tmp_path, **numbers, **rates, NGRAM_DECAY=0.0, WARMDOWN=0.5, MOMENTUM=0.9) == before
    assert graphs(tmp_path, ACTIVATION="gelu") != before


def test_the_arena_runs_on_a_gpu_by_its_own_settings() -> None:
    arena = arenas.load("gpt_h100")
    assert (arena.device, arena.time_box, arena.compile_cache, arena.script) == ("cuda", 300.0, True, "train.py")
    assert arena.prepare[-2:] == ("--corpus", "climbmix")
