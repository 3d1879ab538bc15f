"""Trials end to end, in real processes: how each way to end becomes an outcome."""

from __future__ import annotations

import os
import pickle
from dataclasses import asdict
from pathlib import Path

import pytest

from evolve.errors import UserError
from evolve.evaluation.trial import Trial
from evolve.evaluation.worker import run_trial
from evolve.individual import Outcome, Status

from .conftest import MakeTrial
from .genomes import CLOSE, HONEST, OPEN, PRELUDE, RESULT, START, TRAIN, after_opening

BOTH_WAYS = pytest.mark.parametrize("preload", [(), ("json",)], ids=["command", "warm"])


@BOTH_WAYS
def test_an_honest_genome_is_ok(make_trial: MakeTrial, preload: tuple[str, ...]) -> None:
    trial = make_trial(HONEST, preload=preload, seed=42)
    outcome = run_trial(trial)
    assert (outcome.status, outcome.score, outcome.reason) == (Status.OK, 2.5, "")
    assert (outcome.steps, outcome.tokens, outcome.parameters) == (3, 96, 7)
    assert outcome.curve == [(1 / 3, 3.0), (2 / 3, 2.0), (1.0, 1.0)]
    assert (outcome.seed, outcome.device, outcome.corpus) == (42, "cpu", "c0ffee")
    assert outcome.constants == {"LR": 0.1}
    assert outcome.trusted
    assert outcome.tail == "val_bpb: 2.5"
    assert 0.3 <= outcome.seconds["training"] < 0.8
    parts = sum(outcome.seconds[name] for name in ("startup", "training", "scoring"))
    assert parts == pytest.approx(outcome.seconds["total"])
    assert outcome.peak_memory_mb is not None and outcome.peak_memory_mb > 1
    assert not Path(trial.folder).exists()
    assert pickle.loads(pickle.dumps(trial)) == trial
    assert pickle.loads(pickle.dumps(outcome)) == outcome
    assert Outcome.from_record(asdict(outcome)) == outcome


def test_a_fresh_run_is_scored_on_the_splits_it_names(make_trial: MakeTrial) -> None:
    source = OPEN + CLOSE + 'assert os.environ["GPT_SPLITS"] == "confirm,locked"\n' + RESULT
    both = RESULT.replace("val_bpb=2.5", "val_bpb=2.5, locked_bpb=2.75")
    outcomes = [
        run_trial(make_trial(text, splits=("confirm", "locked")))
        for text in (source, source.replace(RESULT, both), source.replace(RESULT, both + "sys.exit(1)"))
    ]
    assert [(one.score, one.locked) for one in outcomes] == [(2.5, None), (2.5, 2.75), (None, None)]
    assert Outcome.from_record(asdict(outcomes[1])) == outcomes[1]


@BOTH_WAYS
def test_a_crash_shows_its_traceback_and_nothing_of_ours(make_trial: MakeTrial, preload: tuple[str, ...]) -> None:
    source = after_opening("def dive():\n    raise ValueError('the loss went up')\ndive()")
    outcome = run_trial(make_trial(source, preload=preload))
    assert outcome.status is Status.CRASHED
    assert outcome.reason == "ended with code 1: ValueError: the loss went up"
    assert "in dive" in outcome.tail and "train.py" in outcome.tail
    assert "genome_process" not in outcome.tail


@BOTH_WAYS
@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("sys.exit(3)", "ended with code 3"),
        ("sys.exit('no data')", "ended with code 1: no data"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was ended by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "was ended by SIGKILL, not by the harness"),
        ("os.kill(os.getpid(), 40)", "was ended by signal 40"),
        ("sys.exit()", "ended without a result, while in its training phase"),
    ],
)
def test_an_exit_without_a_score_is_a_crash(
    make_trial: MakeTrial, preload: tuple[str, ...], ending: str, reason: str
) -> None:
    outcome = run_trial(make_trial(OPEN + ending, preload=preload))
    assert outcome.status is Status.CRASHED
    assert reason in outcome.reason


@BOTH_WAYS
def test_a_syntax_error_is_a_crash(make_trial: MakeTrial, preload: tuple[str, ...]) -> None:
    outcome = run_trial(make_trial("def broken(:\n", preload=preload))
    assert outcome.status is Status.CRASHED
    assert "SyntaxError" in outcome.reason and "def broken(:" in outcome.tail


def test_a_text_that_is_no_utf8_is_a_crash_of_the_genome(make_trial: MakeTrial) -> None:
    assert run_trial(make_trial("x = '\ud800'")).status is Status.CRASHED


def test_a_result_without_a_clean_exit_is_a_crash(make_trial: MakeTrial) -> None:
    outcome = run_trial(make_trial(OPEN + TRAIN + CLOSE + RESULT + "sys.exit(4)"))
    assert (outcome.status, outcome.score) == (Status.CRASHED, None)
    assert outcome.steps == 3  # what was measured before is kept


def test_an_interpreters_ending_is_kept(make_trial: MakeTrial) -> None:
    source = HONEST + (
        "import atexit, threading\n"
        "atexit.register(print, 'exit function', end='')\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()\n"
    )
    assert run_trial(make_trial(source)).tail.split("\n") == ["val_bpb: 2.5", "thread", "exit function"]


def test_a_forked_genome_is_the_main_module(make_trial: MakeTrial) -> None:
    source = START + (
        "import multiprocessing\n"
        "def double(x): return 2 * x\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.map(double, [21]), sys.argv, __file__ == os.path.abspath('train.py'))\n"
    )
    # The pool's process runs the module's top level again, and with it the prelude: without the report.
    source = source.replace('int(os.environ["GPT_REPORT_FD"])', "3 if __name__ == '__main__' else 2")
    outcome = run_trial(make_trial(source, command=("{python}", "{script}", "--depth", "2")))
    assert "[42]" in outcome.tail and "'--depth', '2'], True" not in outcome.tail
    assert "'--depth', '2'] True" in outcome.tail


@pytest.mark.parametrize("score", ["float('nan')", "float('inf')", "None"])
def test_a_score_that_is_not_finite_is_a_crash(make_trial: MakeTrial, score: str) -> None:
    outcome = run_trial(make_trial(OPEN + TRAIN + CLOSE + f"say('result', val_bpb={score})"))
    assert (outcome.status, outcome.score) == (Status.CRASHED, None)
    assert outcome.reason == "its val_bpb is not a finite number"


def test_an_exploded_loss_is_left_out_of_the_curve(make_trial: MakeTrial) -> None:
    points = "say('point', progress=0.5, loss=2.0); say('point', progress=0.9, loss=float('nan'))"
    assert run_trial(make_trial(after_opening(points))).curve == [(0.5, 2.0)]


def test_a_violation_is_cheating_and_ends_the_trial_at_once(make_trial: MakeTrial) -> None:
    source = OPEN + "say('violation', reason='not causal \\x1b[2J')\ntime.sleep(600)"
    outcome = run_trial(make_trial(source, time_box=60.0))
    assert (outcome.status, outcome.reason) == (Status.CHEATED, "not causal \ufffd[2J")


def test_a_claim_against_the_clock_is_cheating(make_trial: MakeTrial) -> None:
    source = OPEN + "time.sleep(1.6)\nsay('close', training_seconds=0.3, steps=1, tokens=1)\n" + RESULT
    outcome = run_trial(make_trial(source, grace=3.0))
    assert outcome.status is Status.CHEATED
    assert outcome.reason.startswith("claims 0.30 s of training")


@pytest.mark.parametrize(
    "garbage",
    [
        b"no json\n",
        b"[1]\n",
        b"\xff\xfe\n",
        b'{"event": "holiday"}\n',
        b'{"event": "open"}\n',
        b'{"event": "result", "val_bpb": 0.1}\n',
        b'{"event": "point", "progress": "half", "loss": 1}\n',
        b'{"event": "point", "progress": 0.1, "loss": ' + b"9" * 400 + b"}\n",
        b'{"event": "violation", "reason": "\\ud800"}\n',
        b"[" * 60_000 + b"\n",
        b"x" * 200_000,
        b'{"event": "point", "progress": 0.1, "loss": 1}\n' * 3000,
    ],
    ids=lambda garbage: repr(garbage[:24]),
)
def test_garbage_in_the_report_is_cheating(make_trial: MakeTrial, garbage: bytes) -> None:
    source = OPEN + f"data = {garbage!r}\nwhile data: data = data[os.write(3, data):]\ntime.sleep(600)"
    if len(garbage) > 1000:  # not as one literal of the source
        source = source.replace(repr(garbage), f"{garbage[:47]!r} * {len(garbage) // 47} + b'\\n'")
    outcome = run_trial(make_trial(source, time_box=60.0))
    assert outcome.status is Status.CHEATED
    assert outcome.reason.startswith("wrote to the harness's own pipe: ")


@pytest.mark.parametrize(
    "death",
    [
        "raise MemoryError",
        'raise RuntimeError("DefaultCPUAllocator: can\'t allocate memory: you tried 1 TB")',
        "class OutOfMemoryError(RuntimeError): pass\nraise OutOfMemoryError('CUDA')",
    ],
)
def test_a_lack_of_memory_is_told_from_other_crashes(make_trial: MakeTrial, death: str) -> None:
    assert run_trial(make_trial(OPEN + death)).status is Status.OUT_OF_MEMORY


def test_output_of_any_length_is_read_and_only_its_ends_kept(make_trial: MakeTrial) -> None:
    flood = "os.write(1, b'first\\n')\nfor _ in range(200): os.write(1, b'x' * 1_000_000)\n"
    source = after_opening(flood) + "print('\\nlast')"
    outcome = run_trial(make_trial(source, output_kb=10, time_box=30.0))
    assert outcome.status is Status.OK
    assert outcome.tail.endswith("\nlast")
    assert len(outcome.tail) < 2000


def test_output_that_is_not_text_does_no_harm(make_trial: MakeTrial) -> None:
    source = after_opening("os.write(1, b'\\xff\\xfe \\x1b[2J ok\\n'); print('gr\\u00fcn \\ud800')")
    outcome = run_trial(make_trial(source))
    assert outcome.status is Status.OK
    assert outcome.tail == "\ufffd\ufffd \ufffd[2J ok\ngrün \\ud800"


PRINTED = """
print("step 1 val_bpb: 9.9")
print("val_bpb:          1.75")
print("val_bpb:          1.25")
print("peak_vram_mb:     45060.2")
print("training_seconds: 300.1")
print("num_steps:        953")
print("total_tokens_M:   499.6")
print("num_params_M:     50.3")
"""


@BOTH_WAYS
def test_a_foreign_scripts_summary_is_read_but_not_trusted(make_trial: MakeTrial, preload: tuple[str, ...]) -> None:
    source = PRINTED + "import os\nassert 'GPT_REPORT_FD' not in os.environ\n"
    outcome = run_trial(make_trial(source, preload=preload, score="printed"))
    assert (outcome.status, outcome.score, outcome.trusted) == (Status.OK, 1.25, False)
    assert (outcome.steps, outcome.tokens, outcome.parameters) == (953, 499_600_000, 50_300_000)
    assert outcome.seconds["training"] == 300.1


def test_a_foreign_script_without_a_score_crashed(make_trial: MakeTrial) -> None:
    outcome = run_trial(make_trial("print('val_bpb: nan')", score="printed"))
    assert outcome.status is Status.CRASHED
    assert outcome.reason == "printed no line 'val_bpb: NUMBER' with a finite number"


def test_a_command_that_does_not_exist_is_said(make_trial: MakeTrial) -> None:
    outcome = run_trial(make_trial("", preload=(), command=("no-such-program", "{script}")))
    assert outcome.status is Status.CRASHED
    assert "no-such-program" in outcome.reason


@pytest.mark.parametrize(
    "vandalism",
    [
        "import shutil; shutil.rmtree('..', ignore_errors=True)",
        "os.makedirs('locked/inside'); os.chmod('locked', 0)",
        "for _ in range(1500): os.mkdir('d'); os.chdir('d')",
        "os.symlink('/', 'root')",
    ],
)
def test_the_folder_is_removed_whatever_became_of_it(make_trial: MakeTrial, vandalism: str) -> None:
    trial = make_trial(after_opening(vandalism + "\ntime.sleep(0.3)"), time_box=5.0)
    assert run_trial(trial).status is Status.OK
    assert not Path(trial.folder).exists()
    assert Path("/etc").exists()


def test_a_folder_left_by_a_killed_engine_is_replaced(make_trial: MakeTrial) -> None:
    trial = make_trial(HONEST)
    trial.scratch.mkdir(parents=True)
    (Path(trial.folder) / "cancel").write_text("of another run")
    assert run_trial(trial).status is Status.OK


def test_a_preloaded_torch_trains_in_a_fork(make_trial: MakeTrial) -> None:
    body = (
        "import torch\n"
        "torch.set_num_threads(int(os.environ['GPT_THREADS']))\n"
        "layer = torch.nn.Linear(64, 64)\n"
        "layer(torch.ones(512, 64)).square().mean().backward()\n"
        "print('threads', torch.get_num_threads(), float(layer.weight.grad.abs().sum()) > 0)\n"
    )
    outcome = run_trial(make_trial(after_opening(body), preload=("torch",), time_box=5.0))
    assert outcome.status is Status.OK
    assert outcome.tail == f"threads {len(os.sched_getaffinity(0))} True"


def test_a_module_that_cannot_be_preloaded_is_the_users_to_mend(make_trial: MakeTrial) -> None:
    with pytest.raises(UserError, match=r"no_such_module cannot be preloaded: ModuleNotFoundError"):
        run_trial(make_trial(HONEST, preload=("no_such_module",)))


@pytest.mark.parametrize(
    "changes",
    [
        {"script": "../train.py"},
        {"script": "json.py"},
        {"script": "torch.py", "preload": ("torch",)},
        {"preload": ("json",), "command": ("uv", "run", "{script}")},
        {"score": "guessed"},
        {"command": (), "preload": ()},
    ],
)
def test_a_trial_that_contradicts_itself_is_refused(make_trial: MakeTrial, changes: dict[str, object]) -> None:
    with pytest.raises(UserError):
        make_trial(PRELUDE, **changes)


def test_a_stdlib_name_in_the_scratch_folder_harms_only_the_genome(make_trial: MakeTrial) -> None:
    source = after_opening("open('json.py', 'w').write('raise SystemExit')\nimport json; json.dumps(1)")
    assert run_trial(make_trial(source)).status is Status.OK
    assert isinstance(run_trial(make_trial(HONEST)), Outcome)
    assert Trial.__module__ == "evolve.evaluation.trial"
