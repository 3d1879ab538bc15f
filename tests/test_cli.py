"""The command line as a user meets it: real processes on the toy arena."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from evolve.archive.repository import Archive
from tests.command import TOY, arena, environment, evolve, start
from tests.evaluation.nvidia import FakeSmi, smi

__all__ = ["smi"]

PLAN = ("--arena", TOY, "--out", "run", "--pop", 3, "--gens", 3, "--seed", 1)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished search of 9 births, and what it printed."""
    folder = tmp_path_factory.mktemp("searched")
    done = evolve(*PLAN, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_help_is_light() -> None:
    code = (
        "import sys; from evolve.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'deap', 'git', 'pandas', 'rich', 'openai'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--time-box" in done.stdout and "status RUN" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_with_a_gpu_the_default_is_the_arena_for_it(tmp_path: Path, smi: FakeSmi) -> None:
    # Its corpus cannot be fetched from a port where nobody listens.
    variables = {"PATH": os.environ["PATH"], "HF_ENDPOINT": "http://127.0.0.1:9", "EVOLVE_CACHE": str(tmp_path)}
    done = evolve("--out", "run", cwd=tmp_path, **variables)
    assert done.returncode == 2
    assert "data of arena 'gpt_h100' could not be prepared" in done.stderr
    assert "--corpus site-packages" in done.stderr and "Traceback" not in done.stderr


def test_the_first_lines_say_what_is_used(searched: tuple[Path, str]) -> None:
    first = searched[1][:1200]
    for word in ("device", "arena", "time box", "operators", "catalogue", "OPENAI_API_KEY", "archive", "duration"):
        assert word in first
    assert "run/archive.git" in first


def test_the_end_names_champion_lineage_and_how_to_go_on(searched: tuple[Path, str]) -> None:
    end = searched[1].split("Champion")[-1]
    assert "seed genome" in end and "fresh runs" in end and "95 % interval" in end
    assert "is real" in end
    assert "#0" in end and "Lineage" in end
    assert "python -m evolve --arena" in end and "--gens 13" in end and "--out run" in end


def test_the_same_command_again_evaluates_nothing_and_a_larger_one_extends(searched: tuple[Path, str]) -> None:
    folder, first = searched
    again = evolve(*PLAN, cwd=folder)
    assert again.returncode == 0
    assert again.stdout.split("Champion")[-1] == first.split("Champion")[-1]
    more = evolve(*PLAN, "--gens", 4, cwd=folder)
    assert more.returncode == 0
    with Archive.open(folder / "run" / "archive.git") as archive:
        assert len(archive.individuals) == 13
        assert all(one.outcomes for one in archive.individuals.values())


def test_confirm_adds_fresh_runs_to_what_is_there(searched: tuple[Path, str]) -> None:
    folder, _ = searched

    def fresh() -> dict[int, int]:
        with Archive.open(folder / "run" / "archive.git") as archive:
            return {id: len(one.fresh_scores) for id, one in archive.individuals.items()}

    before = fresh()
    done = evolve("confirm", "run", "1", "champion", "--replicates", 3, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    with Archive.open(folder / "run" / "archive.git") as archive:
        champion = archive.resolve("champion").id
    assert {id: count - before[id] for id, count in fresh().items() if count > before[id]} == {0: 3, 1: 3, champion: 3}
    assert "fresh runs" in done.stdout and f"The branch champion is #{champion}" in done.stdout
    assert "fresh runs" in evolve("status", "run", cwd=folder).stdout
    assert evolve("confirm", "run", "--replicates", 0, cwd=folder).returncode == 2
    assert evolve("confirm", "run", "999", cwd=folder).returncode == 2


def test_audit_runs_an_individual_once_more_and_says_what_it_checked(searched: tuple[Path, str]) -> None:
    folder, _ = searched
    with Archive.open(folder / "run" / "archive.git") as archive:
        before = len(archive.individuals[2].outcomes)
    done = evolve("audit", "run", 2, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.split("Audit of #2")[1]
    for word in ("edits", "run", "model", "score", "clock", "agreement", "unchecked", "Nothing wrong was found"):
        assert word in said
    assert "names no scorer" in said and "standard deviations from the mean" in said
    with Archive.open(folder / "run" / "archive.git") as archive:
        assert len(archive.individuals[2].outcomes) == before + 1
    assert evolve("audit", "run", "999", cwd=folder).returncode == 2


def test_the_archive_tells_the_story_with_git_alone(searched: tuple[Path, str]) -> None:
    git = ["git", "-C", str(searched[0] / "run" / "archive.git")]
    log = subprocess.run(
        [*git, "log", "--graph", "--oneline", "--notes=evolve", "champion"], capture_output=True, text=True, check=True
    ).stdout
    assert '"score"' in log and "seed genome" in log
    assert subprocess.run([*git, "fsck", "--strict"], capture_output=True, check=False).returncode == 0


def test_status_show_and_export(searched: tuple[Path, str]) -> None:
    folder, _ = searched
    status = evolve("status", "run", cwd=folder).stdout
    assert "arena toy" in status and "Champion" in status and "catalogue" in status
    assert re.search(r"^\d+ births of \d+ planned; no engine is running$", status, re.MULTILINE)
    for ref in ("1", "champion", "elite/0"):
        shown = evolve("show", "run", ref, cwd=folder)
        assert shown.returncode == 0, shown.stderr
    assert "replicate 0 (run 1, search split): " in evolve("show", "run", "1", cwd=folder).stdout
    assert "replicate 2000 (fresh run 1, confirm split): " in evolve("show", "run", "0", cwd=folder).stdout
    assert "+" in evolve("show", "run", "1", cwd=folder).stdout.split("---")[1]
    missing = evolve("show", "run", "999", cwd=folder)
    assert missing.returncode == 2 and "999" in missing.stderr and "Traceback" not in missing.stderr
    for name, read in (("rows.csv", pd.read_csv), ("rows.parquet", pd.read_parquet)):
        done = evolve("export", "run", name, cwd=folder)
        assert done.returncode == 0, done.stderr
        frame = read(folder / name)
        assert len(frame) >= 10 and {"individual", "score", "status"} <= set(frame.columns)
        assert ((frame["split"] == "confirm") == (frame["replicate"] >= 2000)).all()
    assert evolve("export", "run", "rows.xls", cwd=folder).returncode == 2


def test_doctor_says_what_works(tmp_path: Path) -> None:
    done = evolve("doctor", cwd=tmp_path, OPENAI_API_KEY="")
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("python", "torch", "git", "sandbox", "endpoint", "OPENAI_API_KEY", "disk"):
        assert word in done.stdout


def test_fresh_starts_another_run_beside(tmp_path: Path) -> None:
    plan = ("--arena", TOY, "--pop", 1, "--gens", 1)
    for folder in ("runs/toy", "runs/toy-2"):
        done = evolve(*plan, "--fresh", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"--out {folder}" in done.stdout
        assert (tmp_path / folder / "archive.git").is_dir()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--arena", "gpt_cpo"), "Did you mean 'gpt_cpu'"),
        (("--pop", "0"), "at least 1"),
        (("--time-box", "-3"), "above zero"),
        (("--workers", "5000"), "cores"),
        (("--config", "nowhere.toml"), "cannot be read"),
        (("status", "nowhere"), "no run at 'nowhere'"),
        (("status", ""), "RUN is empty"),
        (("statsu", "run"), "There is no command 'statsu'. Did you mean 'status'?"),
        (("replya", "run"), "Did you mean 'replay'?"),
        (("xyz",), "There is no command 'xyz'. See python -m evolve --help."),
        (("--pop", "2.5"), "must be a whole number"),
        (("--pop", "1e3"), "must be a whole number"),
        (("--config", ""), "--config is empty"),
        (("--out", ""), "--out = '' in the command line: must be text that is not empty"),
        (("--model", ""), "--model in the command line: A model needs a name."),
        (("--config", "models.toml"), "models in the config file models.toml: A [[models]] table has name = 3"),
        (("--program", "/nowhere"), "/nowhere of --program does not exist"),
        (("--prompts", "/nowhere"), "/nowhere"),
        (("--arena", str(TOY), "--out", "/proc/x"), "Nothing was evaluated yet"),
        (("--arena", str(TOY), "--out", "models.toml"), "it is a file, no folder"),
    ],
)
def test_bad_input_gets_one_clear_sentence(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    if arguments[0] == "--workers":
        arguments = (*arguments, "--arena", str(TOY))
    (tmp_path / "models.toml").write_text("[[models]]\nname = 3\n")
    done = evolve(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_an_archive_of_another_search_is_refused_and_untouched(searched: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = searched
    other = arena(tmp_path / "other", (TOY / "train.py").read_text())
    refs = ["git", "-C", str(folder / "run" / "archive.git"), "for-each-ref"]
    before = subprocess.run(refs, capture_output=True, check=True).stdout
    for arguments, sentence in (
        (("--arena", other), "arena 'toy', not 'other'"),
        (("--arena", TOY, "--time-box", 9), "time box of 0.05 s"),
        (("--arena", TOY, "--seed", 9), "--seed 1, not 9"),
    ):
        done = evolve("--out", "run", *arguments, cwd=folder)
        assert done.returncode == 2 and sentence in done.stderr and "--fresh" in done.stderr
    prepare = tmp_path / "prepare.py"
    prepare.write_text('print(\'{"corpus": "tales", "fingerprint": "0123456789abcdef", "data": "/tmp"}\')\n')
    corpus = arena(tmp_path / "toy", (TOY / "train.py").read_text(), prepare=["{python}", str(prepare)])
    done = evolve("--out", "run", "--arena", corpus, cwd=folder)
    assert done.returncode == 2 and "another corpus" in done.stderr
    assert subprocess.run(refs, capture_output=True, check=True).stdout == before


def test_a_seed_genome_that_does_not_train_is_told_with_its_last_lines(tmp_path: Path) -> None:
    broken = arena(tmp_path / "broken", "LR = 0.1  # range: 0.01..1 log\nraise RuntimeError('no such layer')\n")
    done = evolve("--arena", broken, "--out", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert "does not train (crashed" in done.stderr and "no such layer" in done.stderr
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        assert len(archive.individuals) == 1


MISFITS = """
BEHAVIOUR = "fine"  # choices: fine crash loop memory nan
LEVEL = 1.0  # range: 0.1..10 log
"""


def test_offspring_that_misbehave_are_outcomes_and_the_search_goes_on(tmp_path: Path) -> None:
    script = (TOY / "train.py").read_text()
    script = MISFITS + script.replace(
        '    tell(event="open")\n',
        '    tell(event="open")\n'
        '    if BEHAVIOUR == "crash":\n        raise RuntimeError("fell over")\n'
        '    while BEHAVIOUR == "loop":\n        pass\n'
        '    hoard = [bytearray(2**20) for _ in range(900)] if BEHAVIOUR == "memory" else []\n'
        "    assert sum(one[0] for one in hoard) == 0\n",
    ).replace("val_bpb=score()", 'val_bpb=float("nan") if BEHAVIOUR == "nan" else score()')
    folder = arena(tmp_path / "misfits", script, memory_mb=200)
    done = evolve("--arena", folder, "--out", "run", "--pop", 4, "--gens", 10, "--workers", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        endings: dict[str, set[str]] = {}
        for one, outcome in archive.in_order():
            behaviour = re.findall(r"^BEHAVIOUR = \W(\w+)", one.genome, re.MULTILINE)[0]
            endings.setdefault(behaviour, set()).add(outcome.status.value)
    expected = {"crash": "crashed", "loop": "timed_out", "memory": "out_of_memory", "nan": "crashed", "fine": "ok"}
    assert len(endings) >= 4
    assert all(endings[behaviour] == {expected[behaviour]} for behaviour in endings)


def _wait_for_line(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return line
    raise AssertionError(f"ended with {process.wait()} before '{word}'")


SLOW = ("--arena", TOY, "--out", "run", "--pop", 50, "--gens", 50, "--time-box", 1.0)


def test_control_c_drains_and_the_same_command_resumes(tmp_path: Path) -> None:
    process = start(*SLOW, cwd=tmp_path)
    _wait_for_line(process, "#1 ")
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[0]
    assert process.returncode == 0, rest
    assert "running boxes finish" in rest and "Continue" in rest
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        assert not archive.pending()
        assert all(outcome.score for _, outcome in archive.in_order())
        evaluated = len(archive.in_order())
    assert evolve(*SLOW, "--max-evals", evaluated + 1, cwd=tmp_path).returncode == 0
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        assert len(archive.in_order()) == evaluated + 1


@pytest.mark.parametrize("signals", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)])
def test_a_second_control_c_stops_at_once(tmp_path: Path, signals: tuple[signal.Signals, ...]) -> None:
    process = start(*SLOW[:-1], 60, cwd=tmp_path)
    _wait_for_line(process, "duration")
    time.sleep(1.0)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.3)
    rest = process.communicate(timeout=30)[0]
    assert process.returncode == 130, rest
    assert not list((tmp_path / "run").glob("trials/*/scratch"))
    with Archive.open(tmp_path / "run" / "archive.git") as archive:
        assert [one.id for one in archive.pending()] == [0]


def test_two_engines_on_one_run_the_second_is_refused(tmp_path: Path) -> None:
    first = start(*SLOW, cwd=tmp_path)
    try:
        _wait_for_line(first, "#0 ")
        second = evolve(*SLOW, cwd=tmp_path)
        assert second.returncode == 2
        assert f"process {first.pid}" in second.stderr
        status = evolve("status", "run", cwd=tmp_path)
        assert status.returncode == 0 and "arena toy" in status.stdout
        assert f"of 2500 planned; an engine is running (process {first.pid})" in status.stdout
    finally:
        first.kill()
        first.communicate()


def test_a_time_limit_ends_the_search_with_its_state_saved(tmp_path: Path) -> None:
    done = evolve(*SLOW, "--max-hours", 3 / 3600, cwd=tmp_path)
    assert done.returncode == 0
    assert "out of time" in done.stdout and ("Champion" in done.stdout or "No offspring" in done.stdout)


def test_the_command_that_goes_on_can_be_copied(tmp_path: Path) -> None:
    done = evolve(*PLAN, "--max-boxes", 4, "--confirm", 0, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    place = next(k for k, line in enumerate(lines) if line.startswith("Continue "))
    assert shlex.split(lines[place])[1:4] == ["python", "-m", "evolve"] and lines[place].endswith("--out run")
    assert lines[place + 1].strip() == "(with a larger --max-boxes or --max-seconds)"


def test_settings_from_variables_and_file(tmp_path: Path) -> None:
    (tmp_path / "evolve.toml").write_text("pop = 2\ngens = 1\n")
    variables = {"EVOLVE_OUT": "here", "EVOLVE_ARENA": str(TOY)}
    done = subprocess.run(
        [sys.executable, "-m", "evolve", "--config", "evolve.toml"],
        cwd=tmp_path,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "births 2/2" in done.stdout
    assert (tmp_path / "here" / "archive.git").is_dir()
