"""Lines of JSON on a socket, and answers that bring files."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpt.report import Report

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_events_are_lines(pair: Pair) -> None:
    ours, theirs = pair
    report = Report(theirs.fileno())
    report.send("open")
    report.send("point", progress=0.5, loss=2.0, step=3)
    assert [json.loads(line) for line in ours.recv(1000).splitlines()] == [
        {"event": "open"},
        {"event": "point", "progress": 0.5, "loss": 2.0, "step": 3},
    ]


def test_an_answer_brings_values_and_files(pair: Pair, tmp_path: Path) -> None:
    ours, theirs = pair
    (tmp_path / "given").write_text("tokens")
    given = os.open(tmp_path / "given", os.O_RDONLY)
    wanted = os.open(tmp_path / "wanted", os.O_RDWR | os.O_CREAT)
    socket.send_fds(ours, [b'{"again": true}\n'], [given, wanted])
    os.close(given)
    os.close(wanted)
    answer, (read, write) = Report(theirs.fileno()).ask("result", val_bpb=1.0)
    with read, write:
        assert answer == {"again": True} and read.read() == b"tokens"
        write.write(b"model")
    assert (tmp_path / "wanted").read_text() == "model"
    assert json.loads(ours.recv(1000)) == {"event": "result", "val_bpb": 1.0}


def test_nothing_is_said_or_asked_by_hand() -> None:
    report = Report(None)
    report.send("open")
    assert report.ask("close") == ({}, [])
    assert not report.connected


def test_a_number_that_json_lacks_is_an_error(pair: Pair) -> None:
    with pytest.raises(ValueError, match="JSON"):
        Report(pair[1].fileno()).send("point", loss=float("nan"))


def test_without_a_harness_a_run_has_no_purpose(pair: Pair) -> None:
    ours, theirs = pair
    report = Report(theirs.fileno())
    ours.shutdown(socket.SHUT_WR)
    with pytest.raises(BrokenPipeError):
        report.ask("open")
    ours.close()
    with pytest.raises(BrokenPipeError):
        report.send("open")
