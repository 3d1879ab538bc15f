"""Text for corpora that tests make."""

from __future__ import annotations

import random
from pathlib import Path


def sentences(count: int, seed: int = 0) -> str:
    """Lines of made-up words, some beyond ASCII; about 50 bytes each."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnoprstuvzäß√", k=rng.randint(2, 9))) for _ in range(300)]
    return "".join(" ".join(rng.choices(words, k=8)) + ".\n" for _ in range(count))


def write_corpus(folder: Path, files: int = 120) -> Path:
    """A folder of small text files that is large enough to split."""
    folder.mkdir(parents=True)
    for number in range(files):
        (folder / f"text{number:03}.txt").write_text(sentences(120, seed=number), encoding="utf-8")
    return folder
