"""Which text is read, and how it is split."""

from __future__ import annotations

import os
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt import corpus as corpora
from gpt.corpus import PIECE, Corpus
from gpt.prepared import SPLITS


def texts(corpus: Corpus) -> dict[str, str]:
    return {document.name: document.text for file in corpus.files for document in corpus.read(file)}


def test_the_split_never_changes() -> None:
    # Figures of scores hang on it: a change must be deliberate.
    names = [f"package/module{number}.py" for number in range(2000)]
    chosen = {split: [name for name in names if corpora.split_of(name) == split] for split in SPLITS}
    assert {split: len(found) for split, found in chosen.items()} == {
        "search": 110,
        "confirm": 109,
        "locked": 95,
    }
    assert chosen["search"][:2] == ["package/module17.py", "package/module18.py"]


def test_standard_library_is_source_and_documentation() -> None:
    corpus = corpora.standard_library()
    names = [file.relative_to(corpus.root).as_posix() for file in corpus.files]
    assert names == sorted(names)
    assert {"argparse.py", "json/decoder.py", "asyncio/base_events.py"} <= set(names)
    for part in ("site-packages", "__pycache__", "test", "tests"):
        assert not [name for name in names if part in Path(name).parts]


def test_standard_library_keeps_files_whole(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("x = 1\n" * 5000)
    assert list(texts(corpora.standard_library(tmp_path))) == ["long.py"]


def test_only_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("hidden")
    (tmp_path / "a.txt").write_text("ä text", encoding="utf-8")
    (tmp_path / "sub" / "b.md").write_text("more")
    (tmp_path / "latin1.txt").write_bytes("ä".encode("latin-1"))
    (tmp_path / "binary.bin").write_bytes(b"\0\1\2")
    (tmp_path / "empty.txt").write_text(" \n")
    os.mkfifo(tmp_path / "pipe")
    assert texts(corpora.folder(tmp_path)) == {"a.txt": "ä text", "sub/b.md": "more"}


@given(st.text(string.ascii_letters + "\n", max_size=200), st.integers(1, 400))
def test_pieces_make_the_text_again(text: str, repeats: int) -> None:
    pieces = list(corpora._pieces(text * repeats))
    assert "".join(pieces) == text * repeats
    assert all(0 < len(piece) <= PIECE for piece in pieces)


def test_pieces_end_at_line_ends() -> None:
    pieces = list(corpora._pieces("a line of text\n" * 2000))
    assert len(pieces) > 1
    assert all(piece.endswith("\n") for piece in pieces)


def test_state_follows_the_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    before = corpora.folder(tmp_path).state()
    assert corpora.folder(tmp_path).state() == before
    (tmp_path / "a.txt").write_text("other")
    changed = corpora.folder(tmp_path).state()
    (tmp_path / "b.txt").write_text("one")
    added = corpora.folder(tmp_path).state()
    assert len({before, changed, added, corpora.folder(tmp_path, "body").state()}) == 4


@pytest.mark.parametrize("name", ["my corpus!", "äöü"])
def test_a_corpus_has_a_name_that_any_file_system_takes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "a.txt").write_text("text")
    assert corpora.folder(tmp_path / name).name.replace("-", "").isalnum()
