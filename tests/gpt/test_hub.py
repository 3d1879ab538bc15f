"""Fetching shards: against a hub of the test's own, over HTTP."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpt import prepare
from gpt.errors import UserError
from gpt.hub import DATASETS, Dataset, fetch
from gpt.prepared import SPLITS, Prepared
from gpt.tokenizer import BOS_ID
from tests.gpt.text import sentences

SMALL = Dataset("small", "somebody/small", "shard_{:05}.parquet", 9)
CONTENT = b"0123456789" * 20_000


class Hub(ThreadingHTTPServer):
    """Serves files as the hub does: metadata by HEAD, ranges by GET. It can break off, and lie."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}  # by path below /datasets/REPOSITORY/resolve/main/
        self.requests: list[tuple[str, str, str]] = []  # method, path, Range
        self.break_after: list[int] = []  # bytes, of the next answers
        self.corrupt = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        name = self.path.rpartition("/")[2]
        wanted = self.headers.get("Range", "")
        self.server.requests.append((self.command, name, wanted))
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if body:
            sent = content[start:] if not self.server.corrupt else b"x" * (len(content) - start)
            limit = self.server.break_after.pop(0) if self.server.break_after else len(sent)
            self.wfile.write(sent[:limit])
            self.close_connection = True

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 10_000)
        monkeypatch.setattr("time.sleep", lambda _: None)  # between the library's attempts
        yield server
        server.shutdown()
        thread.join()


def gets(hub: Hub) -> list[tuple[str, str]]:
    """Name and range of each request for a file's content; the library asks for other things, too."""
    return [(name, wanted) for method, name, wanted in hub.requests if method == "GET" and name in hub.files]


def test_a_shard_is_fetched_once(hub: Hub, tmp_path: Path) -> None:
    hub.files["a.parquet"] = CONTENT
    for _ in range(2):
        (path,) = fetch(SMALL, ["a.parquet"], tmp_path / "shards")
        assert path.read_bytes() == CONTENT
    assert gets(hub) == [("a.parquet", "")]
    assert {file.name for file in path.parent.iterdir()} == {"a.parquet", "a.parquet.lock"}


def test_a_broken_connection_is_gone_on_with(hub: Hub, tmp_path: Path) -> None:
    hub.files["a.parquet"] = CONTENT
    hub.break_after = [70_000]
    (path,) = fetch(SMALL, ["a.parquet"], tmp_path)
    assert path.read_bytes() == CONTENT
    first, second = gets(hub)
    assert first[1] == "" and second[1] == "bytes=70000-"


def test_what_a_killed_process_left_is_gone_on_with(hub: Hub, tmp_path: Path) -> None:
    hub.files["a.parquet"] = CONTENT
    tag = hashlib.sha256(CONTENT).hexdigest()
    (tmp_path / f"a.parquet.{tag}.partial").write_bytes(CONTENT[:150_000])
    (tmp_path / f"a.parquet.{'0' * 64}.partial").write_bytes(b"of another version")
    (path,) = fetch(SMALL, ["a.parquet"], tmp_path)
    assert path.read_bytes() == CONTENT
    assert gets(hub) == [("a.parquet", "bytes=150000-")]


def test_a_damaged_file_never_gets_its_name(hub: Hub, tmp_path: Path) -> None:
    hub.files["a.parquet"] = CONTENT
    hub.corrupt = True
    with pytest.raises(UserError, match="arrived damaged"):
        fetch(SMALL, ["a.parquet"], tmp_path)
    assert not (tmp_path / "a.parquet").exists()
    hub.corrupt = False
    (path,) = fetch(SMALL, ["a.parquet"], tmp_path)
    assert path.read_bytes() == CONTENT


def test_without_a_network_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens
    with pytest.raises(UserError, match=r"could not be fetched from http://127.0.0.1:9 .*--corpus site-packages"):
        fetch(SMALL, ["a.parquet"], tmp_path)


def test_a_file_that_the_hub_lacks_is_told(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a.parquet of somebody/small could not be fetched"):
        fetch(SMALL, ["a.parquet"], tmp_path)


@pytest.mark.parametrize("count", [0, 10])
def test_there_must_be_as_many_shards(count: int) -> None:
    with pytest.raises(UserError, match="must be from 1 to 9"):
        SMALL.training_shards(count)


def test_the_last_shard_is_validation_alone(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EVOLVE_CACHE", str(tmp_path))
    one = DATASETS["climbmix"]
    words = {}
    for number in (0, 1, one.last):
        rows = [sentences(12, seed=1000 * number + row) for row in range(90)]
        words[number] = sum(len(row.encode()) for row in rows)
        file = tmp_path / "shard.parquet"
        pq.write_table(pa.table({"text": rows}), file)
        hub.files[one.shard.format(number)] = file.read_bytes()
    command = ["--corpus", "climbmix", "--shards", "2", "--vocab-size", "300", "--sequence-length", "64"]
    assert prepare.main(command) == 0
    shown = capsys.readouterr()
    assert "climbmix: shard_06542.parquet (3 of 3)" in shown.err
    prepared = Prepared(next(path for path in (tmp_path / "corpora").iterdir() if path.is_dir()))
    meta = prepared.meta
    assert meta.row == 65 and meta.vocab_size == 300
    parts = [prepared.train, *(prepared.validation(split) for split in SPLITS)]
    assert all(len(part) % 65 == 0 and np.all(part.reshape(-1, 65)[:, 0] == BOS_ID) for part in parts)
    assert 0.97 * (words[0] + words[1]) < meta.train_bytes <= words[0] + words[1]
    sizes = [meta.validation_bytes[split] for split in SPLITS]
    assert 0.97 * words[one.last] < sum(sizes) <= words[one.last] and min(sizes) > 0.2 * sum(sizes)
    before = len(hub.requests)
    assert prepare.main(command) == 0  # nothing is asked of the hub a second time
    assert len(hub.requests) == before
