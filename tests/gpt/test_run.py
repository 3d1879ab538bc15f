"""A run: the first batch opens the clock, the box ends by itself, finish scores."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gpt.prepared import Prepared
from gpt.run import CURVE_POINTS
from tests.gpt.conftest import Watched

Watch = Callable[..., Watched]


class Bigram(nn.Module):
    """Logits from the last token alone."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab_size, vocab_size)
        nn.init.zeros_(self.table.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.table(tokens)
        return logits


def names(watched: Watched) -> list[str]:
    return [event["event"] for event in watched.events()]


def test_the_first_batch_opens_the_clock(watch: Watch) -> None:
    watched = watch(box=5)
    batches = watched.run.batches(4)
    time.sleep(0.02)
    assert names(watched) == ["start"]
    assert watched.run.progress == 0
    x, y = next(batches)
    assert names(watched) == ["open"]
    assert watched.run.progress > 0
    assert x.shape == y.shape == (4, 16)
    assert torch.equal(x[:, 1:], y[:, :-1])


def test_the_box_ends_by_itself(watch: Watch) -> None:
    run = watch(box=0.1).run
    started = time.monotonic()
    count = sum(1 for _ in run.batches(2))
    assert time.monotonic() - started >= 0.1
    assert count > 1
    assert run.progress == 1
    assert list(run.batches(2)) == []


def test_a_second_call_goes_on_with_the_same_clock_and_stream(watch: Watch) -> None:
    watched = watch(box=5)
    first, second = watched.run.batches(2), watched.run.batches(3)
    rows = torch.cat([next(first)[0], next(second)[0]])
    assert names(watched).count("open") == 1
    assert torch.equal(rows, next(watch(box=5).run.batches(5))[0])


def test_the_same_seed_gives_the_same_batches(watch: Watch) -> None:
    one, same, other = (next(watch(box=5, seed=seed).run.batches(8))[0] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_batches_hold_training_tokens_only(watch: Watch, small: Prepared) -> None:
    text = small.train.tobytes()
    x, _ = next(watch(box=5).run.batches(50))
    assert all(row.numpy().astype("<u2").tobytes() in text for row in x)


def test_warm_up_is_random_and_before_the_clock(watch: Watch) -> None:
    watched = watch(box=5)
    x, y = watched.run.warmup_batch(4)
    assert x.shape == y.shape == (4, 16)
    assert x.dtype == torch.int64
    assert x.min() >= 0
    assert x.max() < watched.run.vocab_size
    assert names(watched) == ["start"]
    next(watched.run.batches(4))
    with pytest.raises(RuntimeError, match="The clock runs"):
        watched.run.warmup_batch(4)


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_has_rows(watch: Watch, size: int) -> None:
    run = watch().run
    with pytest.raises(ValueError, match="at least 1"):
        run.batches(size)
    with pytest.raises(ValueError, match="at least 1"):
        run.warmup_batch(size)


def test_the_curve_is_bounded_and_in_order(watch: Watch) -> None:
    watched = watch(box=0.3)
    steps = 0
    for _ in watched.run.batches(1):
        steps += 1
        watched.run.log(torch.tensor(1.5))
    points = [event for event in watched.events() if event["event"] == "point"]
    assert steps > CURVE_POINTS
    assert 2 < len(points) <= CURVE_POINTS
    assert [point["progress"] for point in points] == sorted(point["progress"] for point in points)
    assert all(0 <= point["progress"] <= 1 and point["loss"] == 1.5 for point in points)
    assert points[0]["step"] == 1


def test_a_loss_that_is_not_due_is_not_read(watch: Watch) -> None:
    class Counting(float):
        reads = 0

        def __float__(self) -> float:
            Counting.reads += 1
            return 1.0

    watched = watch(box=60)
    next(watched.run.batches(1))
    for _ in range(100):
        watched.run.log(Counting())
    assert Counting.reads == 1


@pytest.mark.parametrize("loss", [math.nan, math.inf, torch.tensor(math.nan)])
def test_an_exploding_loss_ends_the_run(watch: Watch, loss: float | Tensor) -> None:
    run = watch(box=5).run
    next(run.batches(1))
    with pytest.raises(FloatingPointError, match=r"training loss is (nan|inf) at step 1"):
        run.log(loss)


def test_no_loss_before_the_first_batch(watch: Watch) -> None:
    with pytest.raises(RuntimeError, match="before the first batch"):
        watch().run.log(1.0)


def test_finish_reports_and_prints(watch: Watch, capsys: pytest.CaptureFixture[str], small: Prepared) -> None:
    watched = watch(box=0.1)
    steps = sum(1 for _ in watched.run.batches(3))
    watched.run.finish(Bigram(watched.run.vocab_size))
    events = {event["event"]: event for event in watched.events()}
    assert list(events) == ["start", "open", "close", "result"]
    assert events["start"]["corpus"] == small.meta.fingerprint
    assert events["close"]["steps"] == steps
    assert events["close"]["tokens"] == steps * 3 * 16
    assert events["close"]["training_seconds"] >= 0.1
    assert events["result"]["parameters"] == 300 * 300
    # A table of zeros is uniform: so many bits a token, and 1 to 3 bytes a token.
    assert math.log2(300) / 4 < events["result"]["val_bpb"] < math.log2(300)
    assert f"val_bpb:          {events['result']['val_bpb']:.6f}" in capsys.readouterr().out


def test_further_splits_are_scored_beside_the_first(watch: Watch) -> None:
    def result(*splits: str) -> dict[str, float]:
        watched = watch(box=60, splits=splits)
        next(watched.run.batches(3))
        watched.run.finish(Bigram(watched.run.vocab_size))
        return {key: value for key, value in watched.events()[-1].items() if key.endswith("_bpb")}

    both = result("confirm", "locked")
    assert both == {"val_bpb": result("confirm")["val_bpb"], "locked_bpb": result("locked")["val_bpb"]}
    assert len({*both.values(), result("search")["val_bpb"]}) == 3


def test_finish_may_come_early(watch: Watch) -> None:
    watched = watch(box=60)
    next(watched.run.batches(3))
    watched.run.finish(Bigram(watched.run.vocab_size))
    close = next(event for event in watched.events() if event["event"] == "close")
    assert close["training_seconds"] < 30
    with pytest.raises(RuntimeError, match="no more batches"):
        next(watched.run.batches(3))
    with pytest.raises(RuntimeError, match="closed already"):
        watched.run.finish(Bigram(watched.run.vocab_size))


def test_batches_end_with_finish(watch: Watch) -> None:
    watched = watch(box=60)
    batches = watched.run.batches(3)
    next(batches)
    watched.run.finish(Bigram(watched.run.vocab_size))
    assert list(batches) == []


def test_nothing_is_scored_without_a_batch(watch: Watch) -> None:
    run = watch().run
    with pytest.raises(RuntimeError, match="no batch was asked for"):
        run.finish(Bigram(run.vocab_size))


SCRIPT = """
import gpt, torch
from torch import nn

WIDTH = 8
NAME = "x"

class Model(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.embedding = nn.Embedding(vocab, WIDTH)
        self.head = nn.Linear(WIDTH, vocab)
    def forward(self, tokens):
        h = self.embedding(tokens)
        {inside}
        return self.head(h)

run = gpt.start()
torch.manual_seed(run.seed) if {reseed} else None
print("drawn", torch.rand(1).item(), __import__("random").random(), __import__("numpy").random.rand())
model = Model(run.vocab_size)
for x, y in run.batches(4):
    loss = nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
    run.log(loss)
{after}
run.finish(model)
"""


def write(folder: Path, inside: str = "pass", after: str = "", *, reseed: bool = False) -> Path:
    path = folder / "genome.py"
    path.write_text(SCRIPT.format(inside=inside, after=after, reseed=reseed))
    return path


def test_events_of_a_process(tmp_path: Path, run_script) -> None:  # type: ignore[no-untyped-def]
    done, events = run_script(write(tmp_path), GPT_SEED="5")
    assert done.returncode == 0, done.stderr
    order = [event["event"] for event in events]
    assert order[:3] == ["start", "open", "point"]
    assert order[-2:] == ["close", "result"]
    assert events[-1]["constants"] == {"WIDTH": 8, "NAME": "x"}
    # Everything random was seeded before the genome drew: seeding again changes nothing.
    again, _ = run_script(write(tmp_path, reseed=True), GPT_SEED="5")
    drawn = [out.splitlines()[0] for out in (done.stdout, again.stdout)]
    assert drawn[0] == drawn[1]


def test_a_broken_contract_ends_with_its_code(tmp_path: Path, run_script) -> None:  # type: ignore[no-untyped-def]
    done, events = run_script(write(tmp_path, inside="h = h + h.mean(1, keepdim=True)"))
    assert done.returncode == 3
    assert [event["event"] for event in events][-2:] == ["close", "violation"]
    assert "not causal" in events[-1]["reason"]
    assert done.stderr.strip() == f"Contract broken: {events[-1]['reason']}"
    assert "val_bpb" not in done.stdout


def test_a_process_has_one_box(tmp_path: Path, run_script) -> None:  # type: ignore[no-untyped-def]
    done, events = run_script(write(tmp_path, after="gpt.start()"))
    assert done.returncode == 1
    assert "RuntimeError: gpt.start() was called before" in done.stderr
    assert [event["event"] for event in events].count("start") == 1


def test_a_wrong_variable_is_a_sentence(tmp_path: Path, run_script) -> None:  # type: ignore[no-untyped-def]
    done, events = run_script(write(tmp_path), GPT_DATA=str(tmp_path))
    assert done.returncode == 2
    assert "holds no prepared corpus" in done.stderr
    assert "Traceback" not in done.stderr
    assert events == []
