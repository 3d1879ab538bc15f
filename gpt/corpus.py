"""Which text a model is trained on: the documents of a corpus, and which of them are kept for scoring."""

from __future__ import annotations

import hashlib
import os
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gpt.errors import UserError
from gpt.hub import Dataset, fetch
from gpt.prepared import SPLITS

STDLIB = "stdlib"
SITE_PACKAGES = "site-packages"
SPLIT_PERCENT = 5  # of the documents, for each validation split
PIECE = 8192  # characters: a longer text of the user's is cut, so that one large file can be split, too
# Left out of the standard library: what is not its own, not text, or kept in another package by some systems.
_NOT_STDLIB = re.compile(r"(site-packages|dist-packages|__pycache__|tests?|idle_test|encodings|config-.*)")
_NOT_PACKAGES = re.compile(r"__pycache__|\..*")
_STDLIB_SUFFIXES = {".py", ".txt", ".rst", ".md"}


@dataclass(frozen=True)
class Document:
    """A text with its name and the validation split that it belongs to; None: it is for training."""

    name: str
    text: str
    split: str | None


@dataclass(frozen=True)
class Corpus:
    """Files below a root, in a fixed order. Documents are read as they are asked for, never all at once."""

    name: str
    root: Path
    files: tuple[Path, ...]
    text_column: str = "text"  # of parquet files
    whole_files: bool = False  # a file is one document, however long
    pinned: frozenset[Path] = frozenset()  # files that are for validation, all of them and no other; empty: by name

    def state(self) -> str:
        """A hash of the files' names, sizes and times: changes when the corpus does, and reads no file."""
        digest = hashlib.sha256(f"{self.name} {self.text_column} {self.whole_files}".encode())
        digest.update(" ".join(sorted(map(self._relative, self.pinned))).encode(errors="replace"))
        for file in self.files:
            status = file.stat()
            digest.update(f"{self._relative(file)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="replace"))
        return digest.hexdigest()

    def read(self, file: Path) -> Iterator[Document]:
        """The documents of one file; none where it is not UTF-8 text. Raises UserError for bad parquet."""
        name = self._relative(file)
        if file.suffix == ".parquet":
            for row, text in _parquet_rows(file, self.text_column):
                yield self._document(file, f"{name}:{row}", text)
            return
        try:
            text = file.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            return
        if "\0" in text or not text.strip():
            return
        if self.whole_files or len(text) <= PIECE:
            yield self._document(file, name, text)
            return
        for number, piece in enumerate(_pieces(text)):
            yield self._document(file, f"{name}:{number}", piece)

    def _document(self, file: Path, name: str, text: str) -> Document:
        if not self.pinned:
            return Document(name, text, split_of(name))
        return Document(name, text, SPLITS[_number_of(name) % len(SPLITS)] if file in self.pinned else None)

    def _relative(self, file: Path) -> str:
        return file.relative_to(self.root).as_posix()


def split_of(name: str) -> str | None:
    """The validation split of a document, by its name: the same one everywhere and always. None: training."""
    place = _number_of(name) % 100 // SPLIT_PERCENT
    return SPLITS[place] if place < len(SPLITS) else None


def _number_of(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8], "big")


def standard_library(root: Path | None = None) -> Corpus:
    """The source and documentation text of the running Python's own standard library."""
    root = root or Path(sysconfig.get_path("stdlib"))
    files = [
        file
        for file in _walk(root, _NOT_STDLIB)
        # The build's own settings hold the paths of the machine that it was built on.
        if file.suffix in _STDLIB_SUFFIXES and not file.name.startswith("_sysconfigdata")
    ]
    if not files:
        raise UserError(f"Python's standard library has no source text in {root}; use --corpus PATH.")
    return Corpus(STDLIB, root, tuple(files), whole_files=True)


def folder(root: Path, text_column: str = "text") -> Corpus:
    """A folder of UTF-8 text files and parquet files, at any depth. Raises UserError where there is none."""
    if not root.exists():
        raise UserError(f"There is no folder '{root}'. Give --corpus a folder of text or parquet files.")
    if not root.is_dir():
        raise UserError(f"'{root}' is not a folder. Put the text or parquet files in a folder and give its path.")
    root = root.resolve()
    files = tuple(_walk(root, re.compile(r"\..*|__pycache__")))
    if not files:
        raise UserError(f"There is no file in '{root}'. Give --corpus a folder of text or parquet files.")
    name = re.sub(r"[^A-Za-z0-9_]+", "-", root.name).strip("-") or "corpus"
    return Corpus(name, root, files, text_column)


def site_packages(root: Path | None = None) -> Corpus:
    """The Python sources of all packages that are installed beside the running Python."""
    root = root or Path(sysconfig.get_path("purelib"))
    files = tuple(file for file in _walk(root, _NOT_PACKAGES) if file.suffix == ".py")
    if not files:
        raise UserError(f"There are no Python sources in {root}; use --corpus stdlib or --corpus PATH.")
    return Corpus(SITE_PACKAGES, root, files, whole_files=True)


def dataset(one: Dataset, shards: int, root: Path) -> Corpus:
    """Shards of a public data set, kept in `root` and fetched where they are missing; the last one is for
    validation alone. Raises UserError.
    """
    training = one.training_shards(shards)
    *files, last = fetch(one, [*training, one.validation_shard], root)
    return Corpus(one.name, root, (*files, last), pinned=frozenset([last]))


def _walk(root: Path, left_out: re.Pattern[str]) -> list[Path]:
    """Regular files below `root` sorted by path, without the names that `left_out` matches whole."""
    found: list[Path] = []
    for parent, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not left_out.fullmatch(name)]
        found += [Path(parent, name) for name in names if not left_out.fullmatch(name)]
    return sorted((file for file in found if file.is_file()), key=lambda file: file.relative_to(root).as_posix())


def _pieces(text: str) -> Iterator[str]:
    """Cut at line ends into pieces of at most PIECE characters; a longer line is cut inside."""
    start = 0
    while start < len(text):
        end = start + PIECE
        if end < len(text):
            end = text.rfind("\n", start, end) + 1 or end
        yield text[start:end]
        start = end


def _parquet_rows(file: Path, column: str) -> Iterator[tuple[int, str]]:
    """(row number, text) of the rows that have text."""
    import pyarrow as pa  # only those who have parquet files pay for the import
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            schema = table.schema_arrow
            if column not in schema.names:
                raise UserError(
                    f"{file} has no column '{column}'; it has {', '.join(schema.names)}. Choose one by --text-column."
                )
            kind = schema.field(column).type
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                raise UserError(f"Column '{column}' of {file} holds {kind}, not text. Choose one by --text-column.")
            row = 0
            for batch in table.iter_batches(batch_size=1024, columns=[column]):
                for text in batch.column(0).to_pylist():
                    if text:
                        yield row, text
                    row += 1
    except pa.ArrowInvalid as error:
        raise UserError(f"{file} cannot be read as parquet: {error}") from error
