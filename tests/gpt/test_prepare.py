"""Preparing a corpus: what is written, when it is not, and what the user is told."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from gpt import corpus as corpora
from gpt import prepare, tokenizer
from gpt.corpus import Corpus
from gpt.errors import UserError
from gpt.prepared import SPLITS, TOKENIZER, VALIDATION, Prepared
from tests.gpt.text import sentences, write_corpus


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "text")


def left_in(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "corpora").iterdir() if path.suffix != ".lock")


def joined(corpus: Corpus, split: str | None) -> str:
    documents = (document for file in corpus.files for document in corpus.read(file))
    return "".join(document.text for document in documents if document.split == split)


def parts(prepared: Prepared) -> list[NDArray[np.uint16]]:
    return [prepared.train, *(prepared.validation(split) for split in SPLITS)]


def test_tokens_are_the_text_of_each_part(cache: Path, text: Path) -> None:
    corpus = corpora.folder(text)
    prepared = prepare.prepare(corpus, 300)
    bpe = tokenizer.load(prepared.folder / TOKENIZER)
    assert tokenizer.decode(bpe, prepared.train) == joined(corpus, None)
    assert prepared.meta.train_bytes == prepared.token_bytes[prepared.train].sum()
    for split in SPLITS:
        assert tokenizer.decode(bpe, prepared.validation(split)) == joined(corpus, split) != ""
        assert prepared.meta.validation_bytes[split] == prepared.token_bytes[prepared.validation(split)].sum()
    assert prepared.meta.vocab_size == len(prepared.token_bytes) == 300
    assert left_in(cache) == [prepared.folder.name]


def test_every_document_begins_with_bos(small: Prepared) -> None:
    assert all(part[0] == tokenizer.BOS_ID for part in parts(small))
    assert sum(int(np.count_nonzero(part == tokenizer.BOS_ID)) for part in parts(small)) == 120


def test_fingerprint_is_of_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: Path) -> None:
    found = []
    for number in range(2):
        copied = shutil.copytree(text, tmp_path / str(number), copy_function=shutil.copy)
        monkeypatch.setenv("EVOLVE_CACHE", str(tmp_path / f"cache{number}"))
        found.append(prepare.prepare(corpora.folder(copied), 300).meta.fingerprint)
    (copied / "text000.txt").write_text(sentences(120, seed=999))
    changed = prepare.prepare(corpora.folder(copied), 300).meta.fingerprint
    assert found[0] == found[1] != changed


def test_a_second_time_nothing_is_read(cache: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare.prepare(corpora.folder(text), 300)
    monkeypatch.setattr(Corpus, "read", lambda *_: pytest.fail("the corpus was read again"))
    assert prepare.prepare(corpora.folder(text), 300).folder == first.folder


def test_the_command_is_light(small: Prepared) -> None:
    code = "import sys, gpt.prepare; print([m for m in ('torch', 'tokenizers', 'pyarrow', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_two_processes_build_once(tmp_path: Path, text: Path) -> None:
    command = [sys.executable, "-m", "gpt.prepare", "--corpus", str(text)]
    environment = {**os.environ, "EVOLVE_CACHE": str(tmp_path)}
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    summaries = [json.loads(out.splitlines()[-1]) for out, _ in outputs]
    assert summaries[0] == summaries[1]
    assert sum(err.count("Encoding") for _, err in outputs) == 1
    assert left_in(tmp_path) == [Path(summaries[0]["data"]).name]


def test_what_a_killed_process_left_is_replaced(cache: Path, text: Path) -> None:
    prepared = prepare.prepare(corpora.folder(text), 300)
    partial = prepared.folder.with_name(prepared.folder.name + ".partial")
    prepared.folder.rename(partial)
    (partial / "meta.json").unlink()
    assert prepare.prepare(corpora.folder(text), 300).meta == prepared.meta
    assert left_in(cache) == [prepared.folder.name]


@pytest.mark.parametrize("room", [10_000, 100_000])  # the tokenizer fails, and the tokens
def test_a_full_disk_leaves_nothing(tmp_path: Path, text: Path, room: int) -> None:
    """A limit on file size is the nearest that a test can do: the write fails half-way with an OSError."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    done = subprocess.run(
        [sys.executable, "-m", "gpt.prepare", "--corpus", str(text)],
        env={**os.environ, "EVOLVE_CACHE": str(tmp_path)},
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Set EVOLVE_CACHE to a folder with room" in done.stderr
    assert "Traceback" not in done.stderr
    assert left_in(tmp_path) == []


def test_parquet_rows_are_documents(cache: Path, tmp_path: Path) -> None:
    rows = [sentences(20, seed=number) for number in range(400)]
    (tmp_path / "parquet").mkdir()
    table = pa.table({"body": [*rows, None, ""], "id": list(range(402))})
    pq.write_table(table, tmp_path / "parquet" / "part.parquet", row_group_size=100)
    corpus = corpora.folder(tmp_path / "parquet", "body")
    prepared = prepare.prepare(corpus, 300)
    assert sum(np.count_nonzero(part == tokenizer.BOS_ID) for part in parts(prepared)) == 400
    meta = prepared.meta
    assert meta.train_bytes + sum(meta.validation_bytes.values()) == sum(len(row.encode()) for row in rows)


def bad_folders(root: Path) -> dict[str, tuple[list[str], str]]:
    """Arguments that cannot work, with what the user must read."""
    for name in ("empty", "binary", "tiny", "table", "broken"):
        (root / name).mkdir()
    (root / "binary" / "a.bin").write_bytes(b"\xff\0\xff")
    (root / "tiny" / "a.txt").write_text("a few words")
    pq.write_table(pa.table({"words": ["a"], "id": [1]}), root / "table" / "a.parquet")
    (root / "broken" / "a.parquet").write_text("not parquet")
    return {
        "absent": ([str(root / "absent")], "There is no folder"),
        "a file": ([str(root / "tiny" / "a.txt")], "is not a folder"),
        "empty": ([str(root / "empty")], "There is no file in"),
        "binary": ([str(root / "binary")], "There is no UTF-8 text"),
        "tiny": ([str(root / "tiny")], "too small to split"),
        "no column": ([str(root / "table")], "no column 'text'; it has words, id"),
        "no text": ([str(root / "table"), "--text-column", "id"], "holds int64, not text"),
        "broken": ([str(root / "broken")], "cannot be read as parquet"),
    }


@pytest.mark.usefixtures("cache")
def test_bad_input_is_a_sentence_and_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for case, (arguments, sentence) in bad_folders(tmp_path).items():
        assert prepare.main(["--corpus", *arguments]) == 2, case
        output = capsys.readouterr()
        assert sentence in output.err, case
        assert not output.out, case


@pytest.mark.parametrize("size", [256, 65537])
def test_vocabulary_must_fit(size: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        prepare.main(["--vocab-size", str(size)])
    assert exit_.value.code == 2
    assert "must be from 257 to 65536" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EVOLVE_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="Set EVOLVE_CACHE"):
        prepare.prepare(corpora.folder(text), 300)


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("EVOLVE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert prepare.cache_folder() == tmp_path / "home" / ".cache" / "evolve"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert prepare.cache_folder() == tmp_path / "xdg" / "evolve"
    monkeypatch.setenv("EVOLVE_CACHE", str(tmp_path / "own"))
    assert prepare.cache_folder() == tmp_path / "own"


def test_a_damaged_folder_is_told(small: Prepared, tmp_path: Path) -> None:
    copied = shutil.copytree(small.folder, tmp_path / "copied")
    with (copied / "train.bin").open("ab") as file:
        file.write(b"more")
    with pytest.raises(UserError, match="is damaged"):
        _ = Prepared(copied).train
    (copied / "meta.json").write_text("{}")
    with pytest.raises(UserError, match="holds no prepared corpus"):
        Prepared(copied)


def test_what_is_handed_over_need_not_be_seen(small: Prepared, tmp_path: Path) -> None:
    copied = shutil.copytree(small.folder, tmp_path / "copied")
    (copied / "train.bin").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="train.bin cannot be read"):
        _ = Prepared(copied).train
    (tmp_path / "elsewhere").rename(copied / "train.bin")
    shutil.rmtree(copied / VALIDATION)
    hidden = Prepared(copied)
    assert len(hidden.train) == small.meta.train_tokens
    with pytest.raises(UserError, match="locked.bin cannot be read"):
        hidden.validation("locked")
    (copied / VALIDATION).mkdir()
    (copied / VALIDATION / "search.bin").write_bytes(b"few")
    with pytest.raises(UserError, match="is damaged"):
        hidden.validation("search")


def test_the_standard_library_is_enough_to_train_on(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare.main([]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["corpus"] == "stdlib"
    assert summary["vocab_size"] == 1024
    assert summary["train_tokens"] > 2_000_000
    assert min(summary["validation_tokens"].values()) > 33_000  # what scoring reads, and its last targets
    assert Path(summary["data"]).is_relative_to(cache)
    assert Prepared(Path(summary["data"])).meta.fingerprint == summary["fingerprint"]
