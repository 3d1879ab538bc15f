"""A genome in small: the same text with other constants, and an arena of it that runs on one CPU core."""

from __future__ import annotations

import re
from pathlib import Path

H100 = Path(__file__).parents[2] / "genomes" / "gpt_h100"
CONSTANTS = {
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


def tiny(script: str, **changes: object) -> str:
    """A script of the arena gpt_h100 with CONSTANTS, or `changes` over them; nothing else is another."""
    source = (H100 / script).read_text(encoding="utf-8")
    for name, value in {**CONSTANTS[script], **changes}.items():
        source, count = re.subn(rf"(?m)^{name} = .*?(?=  #)", f"{name} = {value!r}", source)
        assert count == 1, name
    return source
