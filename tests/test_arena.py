"""Reading arena.toml."""

from pathlib import Path

import pytest

from evolve import arena
from evolve.arena import Direction
from evolve.errors import UserError
from tests.command import TOY


def write(folder: Path, text: str, script: bool = True) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "arena.toml").write_text(text)
    if script:
        (folder / "train.py").write_text("print('hello')\n")
    return str(folder)


@pytest.mark.parametrize("name", arena.available())
def test_every_arena_that_comes_with_evolve_loads(name: str) -> None:
    loaded = arena.load(name)
    assert loaded.name == name
    compile(loaded.seed_genome, loaded.script, "exec")


def test_an_arena_by_its_path(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", 'name = "mine"\nscript = "train.py"\ndirection = "max"\ncommand = ["a", "b"]\n')
    loaded = arena.load(folder)
    assert (loaded.name, loaded.direction, loaded.command) == ("mine", Direction.MAX, ("a", "b"))
    assert loaded.seed_genome == "print('hello')\n"


def test_an_unknown_arena_names_the_nearest() -> None:
    with pytest.raises(UserError, match="no arena 'gpt_cpo'. Did you mean 'gpt_cpu'"):
        arena.load("gpt_cpo")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "m"', "lacks the key 'script'"),
        ('name = "m"\nscript = "train.py"\ntime_bocks = 3', "unknown key 'time_bocks'. Did you mean 'time_box'"),
        ('name = "m"\nscript = "train.py"\ndirection = "down"', "must be one of min, max"),
        ('name = "m"\nscript = "train.py"\ntime_box = 0', "above zero"),
        ('name = "m"\nscript = "train.py"\nflagged = "maybe"', "must be one of reject, audit, allow"),
        ('name = "m"\nscript = "train.py"\nscorer = "gpt.rescore; x"', "must be the name of a module"),
        ("name = ", "not valid TOML"),
        ('name = "m"\nscript = "other.py"', "not in that folder"),
    ],
)
def test_a_wrong_file_is_told_in_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        arena.load(write(tmp_path / "m", text))


def test_another_corpus_takes_the_place_of_the_arenas(tmp_path: Path) -> None:
    cpu = arena.load("gpt_cpu")
    assert cpu.on_corpus("site-packages").prepare == (*cpu.prepare[:-1], "site-packages")
    assert cpu.on_corpus(str(tmp_path / ".")).prepare[-1] == str(tmp_path)
    with pytest.raises(UserError, match="prepares no corpus that --corpus climbmix could replace"):
        arena.load(str(TOY)).on_corpus("climbmix")
