"""The commands as a user meets them: real processes, on the toy arena and on a real small GPT."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evolve import arena
from evolve.archive import Archive
from evolve.cli import main
from evolve.individual import Offspring
from evolve.lineages.replay import replay
from evolve.measuring import Workplace
from evolve.variation.catalogue import substitute
from tests.command import TOY, evolve, start


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of the toy arena, and a lineage of three steps whose gains are known: 0.4, nothing, a loss of 0.2."""
    folder = tmp_path_factory.mktemp("searched")
    done = evolve("--arena", TOY, "--out", "run", "--pop", 2, "--gens", 2, "--seed", 1, "--confirm", 0, cwd=folder)
    assert done.returncode == 0, done.stderr
    with Archive.open(folder / "run" / "archive.git", write=True) as archive:
        one = archive.individuals[0]
        for values in ({"WIDTH": 4.0}, {"WIDTH": 6.0}, {"SHAPE": "flat"}, {"SHAPE": "round"}):
            text = substitute(one.genome, values)
            idea = f"Set {next(iter(values))}"
            one = archive.add(Offspring(text, (one.id,), "catalogue", idea, one.generation + 1))
        archive.set_branch("mine", one)
    return folder


def test_every_command_has_a_help_that_is_light_and_teaches() -> None:
    for command, words in {
        "replay": ["claimed", "seed genome", "harmful", "--replicates", "Ctrl-C"],
        "ablate": ["alone", "conflict", "d0"],
        "prune": ["pruned/ID", "beyond noise"],
        "transfer": ["--set DEPTH=12", "--squash", "--onto", "comes along"],
        "bundle": [".bundle", "patches"],
        "import": ["results.tsv", "nothing in it is executed", "--branch"],
    }.items():
        code = (
            "import sys; from evolve.cli import main\n"
            f"try: main([{command!r}, '--help'])\n"
            "except SystemExit: pass\n"
            "print(sorted({'torch', 'numpy', 'deap', 'pandas', 'rich'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert all(word in " ".join(done.stdout.split()) for word in words), done.stdout
        assert done.stdout.splitlines()[-1] == "[]"
    general = evolve("--help", cwd=Path.cwd()).stdout
    assert all(f"evolve {command} " in general for command in ("replay", "ablate", "prune", "transfer", "import"))


def test_the_commands_on_a_run(searched: Path) -> None:
    replayed = evolve("replay", "run", "mine", "--replicates", 2, cwd=searched)
    assert replayed.returncode == 0, replayed.stderr
    assert re.search(r"of 10 runs", replayed.stdout)
    assert [re.search(rf"{word}", line) is not None for word, line in _rows(replayed.stdout, "Set")] == [True] * 4
    again = evolve("replay", "run", "mine", "--replicates", 2, cwd=searched)
    assert "runs;" not in again.stdout and "Total gain" in again.stdout
    ablated = evolve("ablate", "run", "mine", "--replicates", 2, cwd=searched)
    assert "[conflict: WIDTH stays, changed again by" in ablated.stdout and "nothing left" in ablated.stdout
    pruned = evolve("prune", "run", "mine", "--replicates", 3, cwd=searched)
    assert pruned.returncode == 0 and "pruned/" in pruned.stdout, pruned.stdout + pruned.stderr
    moved = evolve("transfer", "run", "mine", "--set", "DEPTH=14", "--time-box", 0.1, "--replicates", 2, cwd=searched)
    assert moved.returncode == 0 and "DEPTH 14" in moved.stdout, moved.stdout + moved.stderr
    status = evolve("status", "run", cwd=searched).stdout
    assert "operations on lineages" in status and "the search sees none of them" in status
    assert "replicate 3000" in evolve("show", "run", "mine", cwd=searched).stdout


def _rows(text: str, word: str) -> list[tuple[str, str]]:
    """The rows of the table of a replay with their expected verdicts."""
    rows = [line for line in text.splitlines() if line.startswith("  ") and word in line and "#" in line]
    return list(zip(("real", "within noise|real|harmful", "real", "harmful"), rows[-4:], strict=True))


def test_another_person_replays_a_bundle_without_the_arena(searched: Path, tmp_path: Path) -> None:
    away = tmp_path / "arena"
    shutil.copytree(TOY, away)
    done = evolve("--arena", away, "--out", "run", "--pop", 2, "--gens", 1, "--confirm", 0, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert evolve("bundle", "run", "1", "found.bundle", cwd=tmp_path).returncode == 0
    assert evolve("bundle", "run", "1", "found", cwd=tmp_path).returncode == 0
    shutil.rmtree(away)
    shutil.rmtree(tmp_path / "run")
    subprocess.run(["git", "clone", "-q", "--mirror", "found.bundle", "found.git"], cwd=tmp_path, check=True)
    replayed = evolve("replay", "found.git", "champion", "--replicates", 2, cwd=tmp_path)
    assert replayed.returncode == 0 and "Total gain" in replayed.stdout, replayed.stdout + replayed.stderr
    # And by the words of the folder's own README.
    script = re.search(r"```bash\n(.*?)```", (tmp_path / "found" / "README.md").read_text(), re.DOTALL)
    assert script is not None
    commands = (
        script[1].replace("python -m", f"{sys.executable} -m").replace("git ", "git -c user.name=t -c user.email=t@t ")
    )
    commands = commands.replace("replayed champion", "replayed champion --replicates 2")
    by_hand = subprocess.run(
        ["bash", "-ec", commands], cwd=tmp_path / "found", capture_output=True, text=True, check=False
    )
    assert by_hand.returncode == 0 and "Total gain replayed" in by_hand.stdout, by_hand.stdout + by_hand.stderr


def test_errors_are_one_sentence(
    searched: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(searched)
    for arguments, words in [
        (["replay", "run", "nobody"], "no individual 'nobody'"),
        (["replay", "run", "0"], "seed genome"),
        (["ablate", "nowhere", "1"], "no run at 'nowhere'"),
        (["replay", "run", "1", "--replicates", "0"], "--replicates 0"),
        (["replay", "run", "1", "--replicates", "1000"], "--replicates 1000 must be a whole number from 2 to 999"),
        (["prune", "run", "mine", "--replicates", "251"], "--replicates 251 must be a whole number from 2 to 250"),
        (["bundle", "run", "mine", ""], "FILE is empty"),
        (["transfer", "run", "mine"], "--onto"),
        (["replay", "run", "1", "--arena", "gpt_cpu"], "this run is of arena 'toy'"),
        (["replay", "run", "1", "--workers", "999"], "999 workers"),
        (["bundle", "run", "0", "new"], "seed genome"),
        (["import", "nowhere"], "no git repository"),
    ]:
        assert main(arguments) == 2
        told = capsys.readouterr().err
        assert words in told and len(told.splitlines()) == 1, told


def test_a_transfer_to_where_nothing_trains_names_no_branch_and_ends_with_2(searched: Path) -> None:
    script = (TOY / "train.py").read_text()
    broken = script.replace("def score():\n", "def score():\n    raise RuntimeError('no such layer')\n")
    (searched / "broken.py").write_text(broken)
    done = evolve("transfer", "run", "mine", "--onto", "broken.py", "--replicates", 2, cwd=searched)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "no such layer" in done.stdout and "runs with a score are missing" in done.stdout
    assert "The branch" not in done.stdout and "Traceback" not in done.stderr


def test_an_interrupted_replay_says_how_to_go_on_and_does(tmp_path: Path) -> None:
    plan = ("--arena", TOY, "--out", "run", "--pop", 1, "--gens", 1, "--time-box", 0.3, "--confirm", 0)
    assert evolve(*plan, cwd=tmp_path).returncode == 0
    process = start("replay", "run", "1", "--replicates", 4, "--workers", 1, cwd=tmp_path)
    assert process.stdout is not None
    for line in process.stdout:
        if "runs;" in line:
            process.send_signal(signal.SIGINT)
            break
    rest = process.stdout.read()
    assert process.wait(timeout=60) == 0, rest  # drained, as a search is
    twice = start("replay", "run", "1", "--replicates", 400, "--workers", 1, cwd=tmp_path)
    assert twice.stdout is not None
    while "runs;" not in twice.stdout.readline():
        pass
    # Between two runs there is nothing to wait for, and the first signal would end it.
    while not list((tmp_path / "run" / "trials").glob("*/heartbeat")):
        time.sleep(0.01)
    for _ in range(2):
        twice.send_signal(signal.SIGINT)
        time.sleep(0.05)
    twice.stdout.read()
    assert twice.wait(timeout=60) == 130
    assert re.search(r"\d+ evaluations are still to be done: the same command goes on", rest), rest
    done = evolve("replay", "run", "1", "--replicates", 4, cwd=tmp_path)
    assert done.returncode == 0 and "still to be done" not in done.stdout
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        numbers = sorted(run.replicate for run in archive.individuals[1].studies)
        assert numbers == [3000 + k for k in range(len(numbers))] and len(numbers) >= 4


def test_a_replay_of_a_real_gpt(tmp_path: Path) -> None:
    """Real training: the steps of a lineage that freezes the model all but entirely."""
    with Archive.create(
        tmp_path / "run" / "archive.git",
        {
            "arena": "gpt_cpu",
            "script": "train.py",
            "metric": "val_bpb",
            "direction": "min",
            "corpus": "unknown",
            "seed": 0,
            "time_box": 0.5,
        },
    ) as archive:
        seed = archive.add(Offspring(arena.load("gpt_cpu").seed_genome, (), "seed", "The seed genome", 0))
        frozen = substitute(seed.genome, {"MATRIX_LR": 0.001, "ADAM_LR": 0.0003})
        archive.add(Offspring(frozen, (0,), "catalogue", "Learn nothing", 1))
    with Workplace.open(str(tmp_path / "run")) as place:
        result = replay(place, "1", 2)
    assert result.missing == 0
    assert all(step.replayed is not None and step.replayed.runs == 2 and not step.failures for step in result.steps)
    assert result.total.runs == 2 and abs(result.total.value) < 5.0
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        assert all(run.seconds["training"] >= 0.5 for _, run in archive.studies())
        assert len({run.seed for _, run in archive.studies()}) == 2
