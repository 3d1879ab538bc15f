"""Where settings come from, and what is said of wrong ones."""

from pathlib import Path

import pytest

from evolve import settings
from evolve.errors import UserError
from evolve.settings import Settings


def test_defaults() -> None:
    assert settings.load({}, None, {}) == Settings()


def test_flags_win_over_variables_over_the_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "evolve.toml"
    file.write_text("pop = 3\ngens = 4\ntime-box = 7\n")
    loaded = settings.load({"pop": "5"}, file, {"EVOLVE_POP": "6", "EVOLVE_GENS": "9", "OTHER": "1"})
    assert (loaded.pop, loaded.gens, loaded.time_box) == (5, 9, 7.0)


def test_an_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "evolve.toml"
    file.write_text("timebox = 7\n")
    with pytest.raises(UserError, match="'timebox'.*Did you mean 'time_box'"):
        settings.load({}, file, {})


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"pop": "0"}, "--pop.*at least 1"),
        ({"gens": "-3"}, "--gens.*at least 1"),
        ({"time_box": "0"}, "--time-box.*above zero"),
        ({"time_box": "nan"}, "--time-box.*above zero"),
        ({"max_hours": "soon"}, "--max-hours.*number"),
        ({"workers": "1.5"}, "--workers.*number"),
        ({"seed": "-1"}, "--seed.*at least 0"),
        ({"pop": "2.5"}, "--pop.*must be a whole number"),
        ({"pop": "1e3"}, "--pop.*must be a whole number"),
        ({"agent": " "}, "--agent.*not empty"),
        ({"model": [""]}, "--model in the command line: A model needs a name"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_flag(flags: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        settings.load(flags, None, {})


def test_a_wrong_variable_is_told_by_its_name() -> None:
    with pytest.raises(UserError, match="EVOLVE_POP.*environment"):
        settings.load({}, None, {"EVOLVE_POP": "many"})


def test_a_config_file_that_is_not_there_or_not_toml(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        settings.load({}, tmp_path / "none.toml", {})
    bad = tmp_path / "bad.toml"
    bad.write_text("pop = = 3")
    with pytest.raises(UserError, match="not valid TOML"):
        settings.load({}, bad, {})
