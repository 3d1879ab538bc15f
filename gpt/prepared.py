"""A prepared corpus on disk: tokens of both parts, the tokenizer, and what is known of them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gpt.errors import UserError

META = "meta.json"
TRAIN = "train.bin"
VALIDATION = "val.bin"
TOKEN_BYTES = "token_bytes.bin"
TOKENIZER = "tokenizer.json"
SMALLEST_VOCABULARY = 257  # every byte, and the token that begins a document: any text can be encoded
LARGEST_VOCABULARY = 65536  # what uint16 can hold


@dataclass(frozen=True)
class Meta:
    """What `meta.json` says. Bytes are those of the text, as UTF-8."""

    corpus: str
    fingerprint: str  # of the tokens and the tokenizer
    vocab_size: int
    train_tokens: int
    val_tokens: int
    train_bytes: int
    val_bytes: int


class Prepared:
    """The files in one folder. All numbers in them are little-endian uint16."""

    def __init__(self, folder: Path) -> None:
        """Raises UserError where the folder holds no prepared corpus, or a damaged one."""
        self.folder = folder
        try:
            self.meta = Meta(**json.loads((folder / META).read_text(encoding="utf-8")))
            tokens = {TRAIN: self.meta.train_tokens, VALIDATION: self.meta.val_tokens}
            whole = all((folder / name).stat().st_size == 2 * count for name, count in tokens.items())
        except (OSError, ValueError, TypeError) as error:
            raise UserError(
                f"'{folder}' holds no prepared corpus ({error}). Make one with `python -m gpt.prepare`."
            ) from error
        if not whole:
            raise UserError(f"The prepared corpus in '{folder}' is damaged. Delete that folder and prepare it again.")

    @staticmethod
    def exists(folder: Path) -> bool:
        return (folder / META).is_file()

    @cached_property
    def train(self) -> NDArray[np.uint16]:
        """Tokens to train on, shape (train_tokens,), mapped and not read."""
        return mapped(self.folder / TRAIN)

    @cached_property
    def validation(self) -> NDArray[np.uint16]:
        """Tokens to score on, shape (val_tokens,), mapped and not read."""
        return mapped(self.folder / VALIDATION)

    @cached_property
    def token_bytes(self) -> NDArray[np.uint16]:
        """UTF-8 bytes of every token, shape (vocab_size,); 0 for special tokens."""
        return np.fromfile(self.folder / TOKEN_BYTES, dtype="<u2")

    def summary(self) -> dict[str, Any]:
        """What `python -m gpt.prepare` prints as its last line."""
        parts = {"train": TRAIN, "search": VALIDATION}
        files = {part: str(self.folder / name) for part, name in parts.items()}
        return asdict(self.meta) | {"data": str(self.folder), "parts": files}


def mapped(file: Path | BinaryIO) -> NDArray[np.uint16]:
    """The tokens in a file, mapped and not read."""
    return np.memmap(file, dtype="<u2", mode="r")
