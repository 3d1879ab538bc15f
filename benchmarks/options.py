"""What the command lines of the benchmarks share: a name for the usage line, and flags that refuse what cannot be."""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path


def make_parser(name: str, about: str | None) -> argparse.ArgumentParser:
    """A parser of `python -m benchmarks.NAME`."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def whole(least: int = 1) -> Callable[[str], int]:
    """Reads a whole number of at least `least`."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"'{text}' must be a whole number of at least {least}.")
        return int(text)

    return read


def seconds(text: str) -> float:
    """Reads a time box."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' must be a number of seconds above zero.")
    return value


def add_table(parser: argparse.ArgumentParser, columns: Sequence[str]) -> None:
    """The flag --trials FILE: a CSV table with at least these columns, which a user has to bring."""

    def read(text: str) -> Path:
        path = Path(text)
        if not path.is_file():
            raise argparse.ArgumentTypeError(f"There is no file '{text}'.")
        try:
            with path.open(encoding="utf-8", newline="") as file:
                header = next(csv.reader(file), [])
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise argparse.ArgumentTypeError(f"'{text}' cannot be read as CSV: {error}.") from error
        if missing := [name for name in columns if name not in header]:
            raise argparse.ArgumentTypeError(f"'{text}' has no column {', '.join(missing)}: see benchmarks/README.md.")
        return path

    about = "a table of real runs as CSV; benchmarks/README.md says which columns"
    parser.add_argument("--trials", type=read, required=True, metavar="FILE", help=about)
