"""A prepared corpus on disk: tokens of all parts, the tokenizer, and what is known of them."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gpt.errors import UserError

META = "meta.json"
TRAIN = "train.bin"
VALIDATION = "validation"  # a folder of its own, so that it can be hidden whole
TOKEN_BYTES = "token_bytes.bin"
TOKENIZER = "tokenizer.json"
SMALLEST_VOCABULARY = 257  # every byte, and the token that begins a document: any text can be encoded
LARGEST_VOCABULARY = 65536  # what uint16 can hold
# Search decisions see only the first, figures of confirmed champions come from the second, and the third is
# looked at once, at the end.
SPLITS = ("search", "confirm", "locked")


def part_file(part: str) -> str:
    """Where in the folder the tokens of the training part or of a validation split are."""
    return f"{VALIDATION}/{part}.bin" if part in SPLITS else TRAIN


@dataclass(frozen=True)
class Meta:
    """What `meta.json` says. Bytes are those of the tokens' text, as UTF-8."""

    corpus: str
    fingerprint: str  # of the tokens and the tokenizer
    vocab_size: int
    train_tokens: int
    train_bytes: int
    validation_tokens: dict[str, int]  # by split
    validation_bytes: dict[str, int]
    row: int = 0  # tokens of a row where documents are packed into rows; 0: the documents follow each other


class Prepared:
    """The files in one folder. All numbers in them are little-endian uint16."""

    def __init__(self, folder: Path) -> None:
        """Raises UserError where the folder holds no prepared corpus, or a damaged one."""
        self.folder = folder
        try:
            self.meta = Meta(**json.loads((folder / META).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise UserError(
                f"'{folder}' holds no prepared corpus ({error}). Make one with `python -m gpt.prepare`."
            ) from error

    @staticmethod
    def exists(folder: Path) -> bool:
        return (folder / META).is_file()

    @cached_property
    def train(self) -> NDArray[np.uint16]:
        """Tokens to train on, shape (train_tokens,), mapped."""
        return self._tokens(TRAIN, self.meta.train_tokens)

    def validation(self, split: str) -> NDArray[np.uint16]:
        """Tokens of one of the SPLITS to score on, shape (validation_tokens[split],), mapped."""
        return self._tokens(split, self.meta.validation_tokens[split])

    def _tokens(self, part: str, count: int) -> NDArray[np.uint16]:
        """Looked for only here: whoever is handed the tokens of a part need not be able to see its file.

        Raises UserError where they are absent or damaged.
        """
        file = self.folder / part_file(part)
        try:
            whole = file.stat().st_size == 2 * count
        except OSError as error:
            raise UserError(f"The tokens {file} cannot be read: {error.strerror}.") from error
        if not whole:
            raise UserError(
                f"The prepared corpus in '{self.folder}' is damaged. Delete that folder and prepare it again."
            )
        return mapped(file)

    @cached_property
    def token_bytes(self) -> NDArray[np.uint16]:
        """UTF-8 bytes of every token, shape (vocab_size,); 0 for special tokens."""
        return np.fromfile(self.folder / TOKEN_BYTES, dtype="<u2")

    def summary(self) -> dict[str, Any]:
        """What `python -m gpt.prepare` prints as its last line."""
        files = {"train": TRAIN, **{split: part_file(split) for split in SPLITS}}
        parts = {part: str(self.folder / file) for part, file in files.items()}
        return asdict(self.meta) | {"data": str(self.folder), "parts": parts}


def mapped(file: Path | BinaryIO) -> NDArray[np.uint16]:
    """The tokens in a file, mapped; the system is asked to read them ahead."""
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return mapped(opened)
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
    return np.memmap(file, dtype="<u2", mode="r")
