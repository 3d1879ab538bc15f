"""Turns text into tokens, once: `python -m gpt.prepare --corpus stdlib|climbmix|fineweb-edu|site-packages|PATH`."""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gpt import corpus as corpora
from gpt.corpus import Corpus, Document
from gpt.errors import UserError
from gpt.hub import DATASETS
from gpt.prepared import (
    LARGEST_VOCABULARY,
    META,
    SMALLEST_VOCABULARY,
    SPLITS,
    TOKEN_BYTES,
    TOKENIZER,
    TRAIN,
    VALIDATION,
    Meta,
    Prepared,
    part_file,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer  # finding what is prepared needs none

FORMAT = 2  # part of a folder's name: to be raised when the same text would give other files
DEFAULT_VOCABULARY = 1024
LARGE_VOCABULARY, LARGE_LENGTH = 8192, 2048  # of the corpora for a GPU: tokens, and tokens a row
SHARDS = 8  # of a data set, for training: half a billion tokens, more than a box of 300 s reads on one GPU
LEARNED_FROM = 50_000_000  # characters, at most, that the tokenizer is learned from
SMALLEST_PART = 2048  # tokens; with less there is nothing to train on or to score
BATCH = 1 << 20  # characters encoded at a time


def cache_folder() -> Path:
    """Where prepared corpora are kept: $EVOLVE_CACHE, $XDG_CACHE_HOME/evolve or ~/.cache/evolve."""
    if chosen := os.environ.get("EVOLVE_CACHE"):
        return Path(chosen).expanduser().resolve()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base, "evolve")
    return Path.home() / ".cache" / "evolve"


def prepare(corpus: Corpus, vocab_size: int = DEFAULT_VOCABULARY, length: int = 0) -> Prepared:
    """The corpus as tokens, from the cache or built now. Safe when several processes ask at once.

    With a `length`, documents are packed into rows of that many tokens and one more, the last target.
    Raises UserError where the text does not do or the cache cannot be written.
    """
    state = hashlib.sha256(f"{FORMAT} {vocab_size} {length} {corpus.state()}".encode()).hexdigest()
    folder = cache_folder() / "corpora" / f"{corpus.name}-{state[:12]}"
    if Prepared.exists(folder):
        return Prepared(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder.with_name(folder.name + ".lock")):
            if not Prepared.exists(folder):  # another process may have built it while this one waited
                _build_in_place(corpus, vocab_size, length, folder)
    except OSError as error:
        raise _cannot_write(folder.parent, error) from error
    return Prepared(folder)


def find(name_or_path: str, text_column: str = "text", shards: int = SHARDS) -> Corpus:
    """The corpus with that name, downloaded where it has to be, or the one in that folder. Raises UserError."""
    if name_or_path == corpora.STDLIB:
        return corpora.standard_library()
    if name_or_path == corpora.SITE_PACKAGES:
        return corpora.site_packages()
    if name_or_path in DATASETS:
        try:
            return corpora.dataset(DATASETS[name_or_path], shards, cache_folder() / "shards" / name_or_path)
        except OSError as error:
            raise _cannot_write(cache_folder(), error) from error
    return corpora.folder(Path(name_or_path), text_column)


def _cannot_write(place: Path, error: OSError) -> UserError:
    room = " The disk is full." if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return UserError(
        f"The corpus cannot be prepared in '{place}': {error}.{room}"
        " Set EVOLVE_CACHE to a folder with room that can be written."
    )


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Another process is preparing this corpus; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build_in_place(corpus: Corpus, vocab_size: int, length: int, folder: Path) -> None:
    """Build beside the folder and rename, so that the folder is whole or absent. The lock must be held."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
    partial.mkdir()
    try:
        _build(corpus, vocab_size, length, partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _build(corpus: Corpus, vocab_size: int, length: int, folder: Path) -> None:
    from gpt import tokenizer as bpe  # needed only here: a prepared corpus is found without it

    tokenizer = bpe.train(_training_texts(corpus, vocab_size), vocab_size)
    # Not tokenizer.save(): a full disk must be an OSError, as it is for the other files.
    (folder / TOKENIZER).write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
    token_bytes = bpe.byte_lengths(tokenizer)
    token_bytes.astype("<u2").tofile(folder / TOKEN_BYTES)

    fingerprint = hashlib.sha256((folder / TOKENIZER).read_bytes())
    tokens = dict.fromkeys((TRAIN, *SPLITS), 0)
    sizes = dict.fromkeys((TRAIN, *SPLITS), 0)
    (folder / VALIDATION).mkdir()
    with contextlib.ExitStack() as closing:
        files = {part: closing.enter_context((folder / part_file(part)).open("wb")) for part in tokens}
        for part, ids in _encoded(corpus, tokenizer, length):
            data = ids.astype("<u2").tobytes()
            files[part].write(data)
            fingerprint.update(part.encode() + data)
            tokens[part] += len(ids)
            sizes[part] += int(token_bytes[ids].sum(dtype=np.int64))
    _check_sizes(corpus, tokens, max(SMALLEST_PART, length + 1))
    meta = Meta(
        corpus=corpus.name,
        fingerprint=fingerprint.hexdigest()[:16],
        vocab_size=tokenizer.get_vocab_size(),
        train_tokens=tokens[TRAIN],
        train_bytes=sizes[TRAIN],
        validation_tokens={split: tokens[split] for split in SPLITS},
        validation_bytes={split: sizes[split] for split in SPLITS},
        row=length + 1 if length else 0,
    )
    (folder / META).write_text(json.dumps(asdict(meta), indent=1) + "\n", encoding="utf-8")


def _training_texts(corpus: Corpus, vocab_size: int) -> Iterator[str]:
    """What the tokenizer is learned from: the training documents, or enough of them."""
    left = LEARNED_FROM
    for document in _documents(corpus, f"Learning {vocab_size:,} tokens"):
        if document.split is None:
            left -= len(document.text)
            yield document.text
        if left <= 0:
            return


def _encoded(corpus: Corpus, tokenizer: Tokenizer, length: int) -> Iterator[tuple[str, NDArray[np.uint16]]]:
    """Part and tokens, a document at a time, or a row at a time where `length` asks for rows."""
    from gpt import tokenizer as bpe
    from gpt.packing import Packer

    packers = {part: Packer(length + 1) for part in (TRAIN, *SPLITS)} if length else {}
    for batch in _batched(_documents(corpus, "Encoding")):
        encoded = bpe.encode(tokenizer, [document.text for document in batch])
        for document, ids in zip(batch, encoded, strict=True):
            part = document.split or TRAIN
            for row in packers[part].add(ids) if packers else [ids]:
                yield part, row
    for part, packer in packers.items():
        for row in packer.finish():
            yield part, row


def _check_sizes(corpus: Corpus, tokens: dict[str, int], least: int) -> None:
    if not sum(tokens.values()):
        raise UserError(f"There is no UTF-8 text in '{corpus.root}'. Give --corpus a folder of text or parquet files.")
    if min(tokens.values()) < least:
        raise UserError(
            f"'{corpus.root}' is too small to split: it gives {tokens[TRAIN]:,} tokens to train on and"
            f" {', '.join(f'{tokens[split]:,}' for split in SPLITS)} to validate on, and each part needs"
            f" {least:,}. A megabyte of text is usually enough."
        )


def _batched(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Groups of about BATCH characters, so that memory stays bounded and every core has work."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _documents(corpus: Corpus, label: str) -> Iterator[Document]:
    """Every document of the corpus, with progress on standard error."""
    title = f"{label} from {len(corpus.files):,} files of {corpus.name}"
    files: Iterable[Path] = corpus.files
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track

        files = track(corpus.files, description=title, console=Console(stderr=True))
    else:
        _say(title)
    for file in files:
        yield from corpus.read(file)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def from_arguments(arguments: list[str] | None) -> Prepared:
    """What the command with these arguments prepares; None: those of this process.

    Raises UserError; ends the process where the arguments themselves are wrong.
    """
    parser = argparse.ArgumentParser(prog="python -m gpt.prepare", description=__doc__)
    add = parser.add_argument
    add(
        "--corpus",
        default=corpora.STDLIB,
        metavar="NAME",
        help="stdlib (Python's own sources, the default), site-packages (the Python sources of all installed "
        f"packages), {' or '.join(DATASETS)} (downloaded), or a folder of text or parquet files",
    )
    add("--text-column", default="text", metavar="NAME", help="column of parquet files that holds the text")
    add(
        "--shards",
        type=int,
        default=SHARDS,
        metavar="N",
        help=f"files of {' or '.join(DATASETS)} to train on, about 100 MB and 60 million tokens each ({SHARDS}); one "
        "more is for validation",
    )
    add(
        "--vocab-size",
        type=int,
        metavar="N",
        help=f"tokens of the tokenizer ({DEFAULT_VOCABULARY} for stdlib and a folder, {LARGE_VOCABULARY} for the "
        "others)",
    )
    add(
        "--sequence-length",
        type=int,
        metavar="N",
        help="pack documents into rows for training at this length; 0: they follow each other in one stream (0 for "
        f"stdlib and a folder, {LARGE_LENGTH} for the others)",
    )
    options = parser.parse_args(arguments)
    large = options.corpus == corpora.SITE_PACKAGES or options.corpus in DATASETS
    vocab_size = options.vocab_size or (LARGE_VOCABULARY if large else DEFAULT_VOCABULARY)
    length = (LARGE_LENGTH if large else 0) if options.sequence_length is None else options.sequence_length
    if not SMALLEST_VOCABULARY <= vocab_size <= LARGEST_VOCABULARY:
        parser.error(f"--vocab-size {vocab_size} must be from {SMALLEST_VOCABULARY} to {LARGEST_VOCABULARY}")
    if length < 0 or length == 1:
        parser.error(f"--sequence-length {length} must be 0, or at least 2")
    return prepare(find(options.corpus, options.text_column, options.shards), vocab_size, length)


def main(arguments: list[str] | None = None) -> int:
    """The command; its last line on standard output is JSON. Returns the exit code."""
    try:
        prepared = from_arguments(arguments)
    except UserError as error:
        _say(str(error))
        return 2
    print(json.dumps(prepared.summary()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
