"""Turns text into tokens, once: `python -m gpt.prepare --corpus stdlib|PATH`."""

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

from gpt import corpus as corpora
from gpt.corpus import Corpus, Document
from gpt.errors import UserError
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

FORMAT = 2  # part of a folder's name: to be raised when the same text would give other files
DEFAULT_VOCABULARY = 1024
SMALLEST_PART = 2048  # tokens; with less there is nothing to train on or to score
BATCH = 1 << 20  # characters encoded at a time


def cache_folder() -> Path:
    """Where prepared corpora are kept: $EVOLVE_CACHE, $XDG_CACHE_HOME/evolve or ~/.cache/evolve."""
    if chosen := os.environ.get("EVOLVE_CACHE"):
        return Path(chosen).expanduser().resolve()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base, "evolve")
    return Path.home() / ".cache" / "evolve"


def prepare(corpus: Corpus, vocab_size: int = DEFAULT_VOCABULARY) -> Prepared:
    """The corpus as tokens, from the cache or built now. Safe when several processes ask at once.

    Raises UserError where the text does not do or the cache cannot be written.
    """
    state = hashlib.sha256(f"{FORMAT} {vocab_size} {corpus.state()}".encode()).hexdigest()
    folder = cache_folder() / "corpora" / f"{corpus.name}-{state[:12]}"
    if Prepared.exists(folder):
        return Prepared(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder.with_name(folder.name + ".lock")):
            if not Prepared.exists(folder):  # another process may have built it while this one waited
                _build_in_place(corpus, vocab_size, folder)
    except OSError as error:
        room = " The disk is full." if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise UserError(
            f"The corpus cannot be prepared in '{folder.parent}': {error}.{room}"
            " Set EVOLVE_CACHE to a folder with room that can be written."
        ) from error
    return Prepared(folder)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("Another process is preparing this corpus; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build_in_place(corpus: Corpus, vocab_size: int, folder: Path) -> None:
    """Build beside the folder and rename, so that the folder is whole or absent. The lock must be held."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
    partial.mkdir()
    try:
        _build(corpus, vocab_size, partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _build(corpus: Corpus, vocab_size: int, folder: Path) -> None:
    from gpt import tokenizer as bpe  # needed only here: a prepared corpus is found without it

    def training_texts() -> Iterator[str]:
        for document in _documents(corpus, f"Learning {vocab_size:,} tokens"):
            if document.split is None:
                yield document.text

    tokenizer = bpe.train(training_texts(), vocab_size)
    # Not tokenizer.save(): a full disk must be an OSError, as it is for the other files.
    (folder / TOKENIZER).write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
    bpe.byte_lengths(tokenizer).astype("<u2").tofile(folder / TOKEN_BYTES)

    fingerprint = hashlib.sha256((folder / TOKENIZER).read_bytes())
    tokens = dict.fromkeys((TRAIN, *SPLITS), 0)
    sizes = dict.fromkeys((TRAIN, *SPLITS), 0)
    (folder / VALIDATION).mkdir()
    with contextlib.ExitStack() as closing:
        files = {part: closing.enter_context((folder / part_file(part)).open("wb")) for part in tokens}
        for batch in _batched(_documents(corpus, "Encoding")):
            encoded = bpe.encode(tokenizer, [document.text for document in batch])
            for document, ids in zip(batch, encoded, strict=True):
                part = document.split or TRAIN
                data = ids.astype("<u2").tobytes()
                files[part].write(data)
                fingerprint.update(part.encode() + data)
                tokens[part] += len(ids)
                sizes[part] += len(document.text.encode())
    if not sum(tokens.values()):
        raise UserError(f"There is no UTF-8 text in '{corpus.root}'. Give --corpus a folder of text or parquet files.")
    if min(tokens.values()) < SMALLEST_PART:
        raise UserError(
            f"'{corpus.root}' is too small to split: it gives {tokens[TRAIN]:,} tokens to train on and"
            f" {', '.join(f'{tokens[split]:,}' for split in SPLITS)} to validate on, and each part needs"
            f" {SMALLEST_PART:,}. A megabyte of text is usually enough."
        )
    meta = Meta(
        corpus=corpus.name,
        fingerprint=fingerprint.hexdigest()[:16],
        vocab_size=tokenizer.get_vocab_size(),
        train_tokens=tokens[TRAIN],
        train_bytes=sizes[TRAIN],
        validation_tokens={split: tokens[split] for split in SPLITS},
        validation_bytes={split: sizes[split] for split in SPLITS},
    )
    (folder / META).write_text(json.dumps(asdict(meta), indent=1) + "\n", encoding="utf-8")


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


def main(arguments: list[str] | None = None) -> int:
    """The command; its last line on standard output is JSON. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gpt.prepare", description=__doc__)
    add = parser.add_argument
    add(
        "--corpus",
        default=corpora.STDLIB,
        metavar="NAME",
        help="'stdlib', or a folder of text or parquet files",
    )
    add("--text-column", default="text", metavar="NAME", help="column of parquet files that holds the text")
    add("--vocab-size", type=int, default=DEFAULT_VOCABULARY, metavar="N", help="tokens of the tokenizer")
    options = parser.parse_args(arguments)
    if not SMALLEST_VOCABULARY <= options.vocab_size <= LARGEST_VOCABULARY:
        parser.error(f"--vocab-size {options.vocab_size} must be from {SMALLEST_VOCABULARY} to {LARGEST_VOCABULARY}")
    try:
        prepared = prepare(corpora.find(options.corpus, options.text_column), options.vocab_size)
    except UserError as error:
        _say(str(error))
        return 2
    print(json.dumps(prepared.summary()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
