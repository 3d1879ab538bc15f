"""What the user chose for a search: flags over EVOLVE_* variables over a TOML file over defaults."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from evolve.errors import UserError
from evolve.llm.ensemble import chosen, named, table
from evolve.llm.model import Model
from evolve.sandbox.confinement import CHOICES
from evolve.stop import NOTICE


def _whole(least: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        text = str(value)
        number = int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else least - 1
        if number < least:
            raise ValueError(f"must be a whole number of at least {least}")
        return number

    return parse


_positive_int = _whole(1)
_natural = _whole(0)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text that is not empty")
    return value


def _positive(value: Any) -> float:
    number = float(str(value))
    if not 0 < number < float("inf"):
        raise ValueError("must be a number above zero")
    return number


def _names(value: Any) -> tuple[str, ...]:
    """From a list, or from text with commas between, as in a variable."""
    names = [str(part) for part in value] if isinstance(value, list | tuple) else str(value).split(",")
    for name in names:
        named(name)  # raises UserError for what is no model
    return tuple(name.strip() for name in names)


def _tables(value: Any) -> tuple[Model, ...]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValueError("must be [[models]] tables in a config file")
    return tuple(table(one) for one in value)


def _boolean(value: Any) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}
    if str(value).lower() not in words:
        raise ValueError("must be true or false")
    return words[str(value).lower()]


def _one_of(*words: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if str(value) not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return str(value)

    return parse


def _setting(parse: Callable[[Any], Any], default: Any, metavar: str, help: str) -> Any:
    return field(default=default, metadata={"parse": parse, "metavar": metavar, "help": help})


@dataclass(frozen=True)
class Settings:
    """One field a flag; the flag's help, its parser and its default stand together here."""

    arena: str | None = _setting(
        _text,
        None,
        "NAME",
        "what to evolve: a folder of genomes/, or a path (gpt_h100 with an NVIDIA GPU, else gpt_cpu)",
    )
    corpus: str | None = _setting(
        _text, None, "NAME", "text to train on in place of the arena's own: what python -m gpt.prepare --corpus takes"
    )
    out: str | None = _setting(_text, None, "DIR", "where the run lives (runs/<arena>); continued where it exists")
    fresh: bool = _setting(_boolean, False, "", "start another run beside an existing one")
    pop: int = _setting(_positive_int, 8, "N", "size of the population")
    gens: int = _setting(_positive_int, 50, "N", "births, in units of the population; a larger number extends a run")
    seed: int | None = _setting(_natural, None, "N", "seed of everything random in the search (0)")
    time_box: float | None = _setting(_positive, None, "SECONDS", "training time of each evaluation (the arena's)")
    strategy: str = _setting(
        _one_of("evolve", "hillclimb", "best-of-n", "random"),
        "evolve",
        "NAME",
        "evolve, or a baseline on the same budget: hillclimb, best-of-n, random",
    )
    selection: str = _setting(
        _one_of("noise-aware", "plain"), "noise-aware", "HOW", "noise-aware, or plain: by mean scores, no replicates"
    )
    confirm: int = _setting(_natural, 4, "N", "fresh runs that confirm the champion at the end; 0 for none")
    no_racing: bool = _setting(_boolean, False, "", "let every run have its whole time box, however far behind")
    workers: int | None = _setting(_positive_int, None, "N", "evaluations at once (as many as cores or GPUs allow)")
    max_evals: int | None = _setting(_positive_int, None, "N", "stop after this many evaluations in all")
    max_boxes: float | None = _setting(
        _positive, None, "N", "end the search after this many time boxes; what was raced out counts its share"
    )
    max_seconds: float | None = _setting(
        _positive, None, "SECONDS", "end the search after this much accelerator time, of all workers together"
    )
    max_hours: float | None = _setting(_positive, None, "HOURS", "stop starting new evaluations after this long")
    notice: float = _setting(
        _positive, NOTICE, "SECONDS", "between a scheduler's SIGTERM and its SIGKILL: boxes that fit finish"
    )
    sandbox: str = _setting(
        _one_of(*CHOICES), "auto", "HOW", "what keeps genomes from your files and the network: bwrap, landlock or none"
    )
    agent: str | None = _setting(
        _text,
        None,
        "COMMAND",
        "a coding agent that writes offspring; its prompt is {prompt_file}, or standard input",
    )
    agent_time: float = _setting(_positive, 600.0, "SECONDS", "time limit of each run of the agent")
    model: tuple[str, ...] = _setting(_names, (), "NAME[@WEIGHT]", "a language model that writes offspring; repeatable")
    models: tuple[Model, ...] = _setting(_tables, (), "", "")  # of the file only: with prices and endpoints
    max_cost: float | None = _setting(_positive, None, "MONEY", "cap on what the models cost, in the prices' currency")
    max_tokens: int | None = _setting(_positive_int, None, "N", "cap on the models' input and output tokens")
    llm_only: bool = _setting(_boolean, False, "", "no catalogue and no crossover; stop when no model answers")
    program: str | None = _setting(_text, None, "FILE", "your research direction, read anew for each prompt")
    prompts: str | None = _setting(
        _text, None, "DIR", "Markdown files that replace the built-in prompts of their names"
    )
    repairs: int = _setting(_natural, 1, "N", "times that a reply which cannot be used goes back with its error")
    prompt_tokens: int = _setting(_positive_int, 12_000, "N", "bound on the size of a prompt")

    @property
    def ensemble(self) -> tuple[Model, ...]:
        """The language models to use. Raises UserError for one that is given twice."""
        return chosen(self.model, self.models)


def load(flags: Mapping[str, Any], config: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from all their sources; `flags` holds only what was given on the command line.

    Raises UserError for a file that cannot be read, an unknown key (with the nearest known one) and a
    value that does not fit, each time naming the source.
    """
    settings = Settings()
    if config is not None:
        settings = _apply(settings, _read_toml(config), f"the config file {config}")
    known = {f"EVOLVE_{f.name.upper()}": f.name for f in fields(Settings)}
    variables = {known[name]: value for name, value in environment.items() if name in known and value}
    settings = _apply(settings, variables, "the environment", name_of=lambda key: f"EVOLVE_{key.upper()}")
    return _apply(settings, flags, "the command line", name_of=lambda key: "--" + key.replace("_", "-"))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"The config file {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"The config file {path} is not valid TOML: {error}.") from error
    names = [f.name for f in fields(Settings)]
    values = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            hint = f"Did you mean '{near[0]}'?" if near else f"Known keys: {', '.join(names)}."
            raise UserError(f"The config file {path} has an unknown key '{key}'. {hint}")
        values[name] = value
    return values


def _apply(settings: Settings, values: Mapping[str, Any], source: str, name_of: Callable[[str], str] = str) -> Settings:
    parsers = {f.name: f.metadata["parse"] for f in fields(Settings)}
    parsed = {}
    for key, value in values.items():
        try:
            parsed[key] = parsers[key](value)
        except ValueError as error:
            why = str(error) if "must be" in str(error) else "must be a number"
            raise UserError(f"{name_of(key)} = {value!r} in {source}: {why}.") from error
        except UserError as error:  # a model that cannot be
            raise UserError(f"{name_of(key)} in {source}: {error}") from error
    return replace(settings, **parsed)
