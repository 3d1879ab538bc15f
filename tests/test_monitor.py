"""The live screen, on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

from tests.command import TOY, command, environment


def screen(*arguments: object, cwd: Path) -> str:
    """All that a command writes to a terminal of 120 columns."""
    controller, terminal = pty.openpty()
    variables = environment(TERM="xterm", COLUMNS="120", LINES="40")
    process = subprocess.Popen(
        command(*arguments), cwd=cwd, env=variables, stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    written = b""
    while True:
        try:
            part = os.read(controller, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        written += part
    os.close(controller)
    assert process.wait(timeout=30) == 0, written.decode()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())


def test_the_live_screen_shows_slots_standing_outcomes_and_time_left(tmp_path: Path) -> None:
    shown = screen("--arena", TOY, "--out", "run", "--pop", 2, "--gens", 2, "--time-box", 0.6, cwd=tmp_path)
    assert "Running" in shown and "Recent" in shown
    assert re.search(r"#1 .*0\.\d/0\.6 s", shown)  # a slot: individual, elapsed of its box
    assert re.search(r"births 3/4, generation 1/2; best \d\.\d{4} \(#\d\), seed genome \d\.\d{4}", shown)
    assert re.search(r"#1 +\d\.\d{4} \([+-]\d\.\d{4}\) +Set ", shown)  # an outcome with its idea
    assert "left" in shown
    assert "Champion" in shown or "No offspring beat" in shown
    assert "Lineage" in shown.rsplit("Recent", maxsplit=1)[-1]
