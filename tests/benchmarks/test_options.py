"""The flags of the benchmarks refuse what cannot be, in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import benchmarks
from benchmarks.options import add_table, make_parser, seconds, whole

COMMANDS = sorted(path.stem for path in Path(benchmarks.__path__[0]).glob("*.py") if "__main__" in path.read_text())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--runs", "0"], "'0' must be a whole number of at least 2."),
        (["--runs", "-1"], "must be a whole number"),
        (["--runs", "2.5"], "must be a whole number"),
        (["--box", "0"], "must be a number of seconds above zero"),
        (["--box", "soon"], "must be a number of seconds above zero"),
        (["--box", "inf"], "must be a number of seconds above zero"),
        (["--trials", "nowhere.csv"], "There is no file 'nowhere.csv'."),
        (["--trials", "short.csv"], "has no column b: see"),
        (["--trials", "binary.csv"], "cannot be read as CSV"),
        ([], "required: --trials"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.csv").write_text("a,c\n1,2\n")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe")
    parser = make_parser("some", "Something.")
    parser.add_argument("--runs", type=whole(2))
    parser.add_argument("--box", type=seconds)
    add_table(parser, ("a", "b"))
    with pytest.raises(SystemExit) as end:
        parser.parse_args(arguments)
    assert end.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_benchmark_says_how_it_is_called(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"usage: python -m benchmarks.{name} [-h] ")
