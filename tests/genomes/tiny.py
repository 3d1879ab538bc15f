"""The H100 arena in small: the same scripts with other constants, and a folder of them that runs on one CPU core."""

from __future__ import annotations

import re
from pathlib import Path

H100 = Path(__file__).parents[2] / "genomes" / "gpt_h100"
CONSTANTS: dict[str, dict[str, object]] = {
    "train.py": {
        "DEPTH": 2,
        "WIDTH": 32,
        "HEAD_DIM": 16,
        "SHORT_WINDOW": 16,
        "WINDOW_PATTERN": "SL",
        "GATE_CHANNELS": 8,
        "BIGRAM_ROWS": 2048,
        "TRIGRAM_ROWS": 2048,
        "BATCH_ROWS": 8,
        "MICRO_ROWS": 4,
    },
    "vanilla.py": {"DEPTH": 2, "WIDTH": 32, "HEADS": 2, "BATCH_ROWS": 8},
}
# What the arena says of a GPU, as a CPU has it.
SETTINGS = {
    "device": '"cpu"',
    "cores": "1",
    "time_box": "0.5",
    "startup": "60.0",
    "scoring": "60.0",
    "memory_mb": "4000",
    "GPT_VALIDATION_TOKENS": '"2000"',
}


def tiny(script: str, **changes: object) -> str:
    """A script of the arena with CONSTANTS, or `changes` over them, which are not to be tuned; all else is the same."""
    values = {**CONSTANTS[script], **changes}
    source = (H100 / script).read_text(encoding="utf-8")
    for name, value in values.items():
        source = _once(rf"^{name} = .*$", f"{name} = {value!r}", source)
    return source


def tiny_arena(folder: Path, corpus: Path) -> Path:
    """The arena's own folder with tiny scripts, SETTINGS, and a corpus of rows of 32 tokens from a folder of text."""
    folder.mkdir()
    for script in CONSTANTS:
        (folder / script).write_text(tiny(script), encoding="utf-8")
    words = [str(corpus), "--vocab-size", "300", "--sequence-length", "32"]
    text = (H100 / "arena.toml").read_text(encoding="utf-8")
    text = _once('"climbmix"', ", ".join(f'"{word}"' for word in words), text)
    for name, value in SETTINGS.items():
        text = _once(rf"^{name} = .*?$", f"{name} = {value}", text)
    text = _once(' "torch._inductor.compile_fx",', "", text)  # which takes seconds to import, and nothing is compiled
    (folder / "arena.toml").write_text(text, encoding="utf-8")
    return folder


def _once(pattern: str, replacement: str, text: str) -> str:
    changed, count = re.subn(pattern, lambda _: replacement, text, flags=re.MULTILINE)
    assert count == 1, pattern
    return changed
