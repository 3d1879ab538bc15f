"""Runs `python -m evolve` as a user does: a process of its own, on the toy arena where nothing else is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TOY = Path(__file__).parent / "toy"


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without the settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EVOLVE_", "OPENAI_"))}
    cache = {"EVOLVE_CACHE": os.environ["EVOLVE_CACHE"]} if "EVOLVE_CACHE" in os.environ else {}
    return kept | cache | variables


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "evolve", *map(str, arguments)]


def evolve(*arguments: object, cwd: Path, timeout: float = 120, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def start(*arguments: object, cwd: Path, **variables: str) -> subprocess.Popen[str]:
    """Start a command whose output can be read while it runs."""
    return subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def arena(folder: Path, script: str, **settings: object) -> Path:
    """An arena of its own with the given script; settings go into its arena.toml."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {"name": folder.name, "script": "train.py", "time_box": 0.05, "startup": 10.0, "grace": 0.5} | settings
    lines = [f"{key} = {value!r}" for key, value in values.items()]
    (folder / "arena.toml").write_text("\n".join(lines).replace("'", '"') + "\n")
    (folder / "train.py").write_text(script)
    return folder
