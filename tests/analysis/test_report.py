"""The report's file and its server, without a browser."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import figures, style
from analysis.__main__ import main
from analysis.frames import Frames
from analysis.report import details
from analysis.report.page import embedded
from analysis.report.server import Server, Source
from analysis.report.svg import inline
from evolve.archive.repository import Archive
from evolve.inspect import show
from evolve.rundir import RunDirectory
from tests.analysis.archives import HOSTILE, STATE
from tests.command import environment


@pytest.fixture(scope="module")
def report(run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("report") / "report.html"
    assert main(["report", str(run), str(file)]) == 0
    return file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def unpacked(report: str) -> dict[str, Any]:
    packed = re.findall(r'id="packed">([^<]*)</script>', report)[0]
    return json.loads(gzip.decompress(base64.b64decode(packed)))  # type: ignore[no-any-return]


class Outline(HTMLParser):
    """The scripts of a page, and every address that one of its elements would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self._script: dict[str, str | None] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._script = dict(attrs) if tag == "script" else None
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "srcset")]

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts.append((self._script, data))
            self._script = None


def test_nothing_in_the_page_leads_out_of_it(report: str) -> None:
    outline = Outline(report)
    assert all(address.startswith(("#", "data:")) for address in outline.addresses), outline.addresses
    assert not re.search(r"url\((?!#)", re.sub(r"<script.*?</script>", "", report, flags=re.DOTALL))
    assert "iframe" not in outline.tags and "object" not in outline.tags and "form" in outline.tags


def test_only_its_own_scripts_may_run(report: str) -> None:
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', report)[0]
    running = [text for attributes, text in Outline(report).scripts if "type" not in attributes]
    assert len(running) == 2
    for text in running:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "connect-src 'none'" in policy and "'unsafe-eval'" not in policy
    assert "'unsafe-inline'" not in policy.replace("style-src 'unsafe-inline'", "")


@given(st.recursive(st.text() | st.sampled_from([HOSTILE, "<!--", "]]>"]), lambda inner: st.lists(inner, max_size=3)))
def test_no_text_ends_the_element_that_data_stands_in(value: object) -> None:
    text = embedded(value)
    assert json.loads(text) == value
    assert not re.search("[<>&]", text)


def test_hostile_words_are_no_elements(report: str) -> None:
    outline = Outline(report)
    assert "img" not in outline.tags and outline.tags.count("script") == 4
    assert "</script><script>document" not in report


def test_details_hold_diffs_runs_and_prompts(run: Path, unpacked: dict[str, Any]) -> None:
    with Archive.open(run / "archive.git") as archive:
        everyone = archive.individuals
        assert {int(id) for id in unpacked["individuals"]} == set(everyone)
        for id, own in unpacked["individuals"].items():
            one = everyone[int(id)]
            assert len(own["evaluations"]) == len(one.outcomes)
            assert [run.get("score") for run in own["evaluations"]] == [outcome.score for outcome in one.outcomes]
        exchanges = archive.exchanges()
    one, exchange = exchanges[-1]
    told = unpacked["individuals"][str(one.id)]["exchanges"][-1]
    texts = ["\n\n".join(unpacked["paragraphs"][place] for place in message["text"]) for message in told["messages"]]
    assert texts == [message["content"] for message in exchange["messages"]]
    assert told["reply"] == exchange["reply"]


def test_diffs_are_those_that_show_prints(run: Path, unpacked: dict[str, Any]) -> None:
    def changed(text: str) -> list[str]:
        return [line for line in text.splitlines() if re.match(r"[+-](?![+-]{2} )", line)]

    for id in ("1", "12", "42"):
        shown = show(str(run), id).partition("\n--- #")[2]
        assert changed(unpacked["individuals"][id]["diff"]) == changed(f"--- #{shown}") != []


def test_the_champions_patch_applies_to_the_seed_genome(run: Path, tmp_path: Path) -> None:
    with Archive.open(run / "archive.git") as archive:
        champion = archive.champion()
        assert champion is not None
        (tmp_path / "train.py").write_text(archive.individuals[0].genome)
        patch = details.patch(archive, champion)
        subprocess.run(["git", "apply"], input=patch, text=True, cwd=tmp_path, check=True)
        assert (tmp_path / "train.py").read_text() == champion.genome


def test_figures_in_the_page_take_its_colours_and_have_their_own_ids(frames: Frames) -> None:
    ids: list[str] = []
    for name in ("progress", "operators"):
        text = inline(figures.FIGURES[name](frames), name, "A title")
        root = ElementTree.fromstring(text)
        assert root.get("aria-label") == "A title" and root.get("width") is None
        assert style.INK not in text and "var(--ink)" in text
        own = [element.get("id") for element in root.iter() if element.get("id")]
        used = set(re.findall(r"url\(#([^)]*)\)", text)) | set(re.findall(r'href="#([^"]*)"', text))
        assert used <= set(own) and len(set(own)) == len(own)
        ids += [str(id) for id in own]
    assert len(set(ids)) == len(ids)


def test_a_report_of_an_empty_archive_and_one_that_cannot_be_written(
    tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Archive.create(tmp_path / "archive.git", {**STATE, "time_box": 5.0}).close()
    assert main(["report", str(tmp_path)]) == 0
    assert "Nothing was measured yet." in (tmp_path / "report.html").read_text()
    assert main(["report", str(run), str(tmp_path / "no" / "where.html")]) == 2
    assert "could not be written" in capsys.readouterr().err


@pytest.fixture
def server(run: Path) -> Iterator[Server]:
    server = Server(Source(RunDirectory(run)), 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def ask(server: Server, method: str = "GET", path: str = "/", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=60)  # type: ignore[misc]
    connection.putrequest(method, path, skip_host=True)
    named = {"Host": f"127.0.0.1:{server.server_address[1]}"} | {k.replace("_", "-"): v for k, v in headers.items()}
    for name, value in named.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse()


def test_the_server_answers_to_this_machine_and_gives_a_page_once(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    first = ask(server)
    text = first.read().decode()
    assert first.status == 200 and "connect-src 'self'" in text and '"revision":"' in text
    tag = str(first.getheader("ETag"))
    assert ask(server, If_None_Match=tag).status == 304
    assert ask(server, If_None_Match='"other"').status == 200
    head = ask(server, "HEAD")
    assert head.status == 200 and head.read() == b""
    port = server.server_address[1]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", "127.0.0.1:1", ""):
        refused = ask(server, Host=host)
        assert refused.status == 403 and b"individual" not in refused.read(), host
    assert ask(server, Host=f"localhost:{port}").status == 200
    assert ask(server, path="/archive.git/HEAD").status == 404
    assert ask(server, "POST").status == 501


def test_watch_prints_its_address_and_ends_with_control_c(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "evolve", "watch", str(run), "--port", "0"]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    address = re.findall(r"http://(127\.0\.0\.1):(\d+)/", line)
    assert address, line
    connection = http.client.HTTPConnection(address[0][0], int(address[0][1]), timeout=60)
    connection.request("GET", "/")
    assert b"Lineage" in connection.getresponse().read()
    assert main(["watch", str(run), "--port", address[0][1]]) == 2
    assert "--port" in capsys.readouterr().err
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert process.stderr is not None and process.stderr.read() == ""


def test_no_run_to_watch_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "nowhere"]) == 2
    assert "no run at 'nowhere'" in capsys.readouterr().err


def test_a_port_that_is_none_is_told_in_one_sentence(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", str(run), "--port", "99999"]) == 2
    told = capsys.readouterr().err
    assert "99999 cannot be served on: " in told and ".." not in told
