"""A language model's endpoint in bad weather: it answers the probe, and then does with each request as it is told."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tests.llm.server import PROBE

Behaviour = Callable[["Endpoint", socket.socket], None]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Endpoint(socketserver.ThreadingTCPServer):
    """Listens on 127.0.0.1. `asked` is set when it was asked for anything that it does not answer properly."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, behaviour: Behaviour, *, answers_probes: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behaviour = behaviour
        self.answers_probes = answers_probes
        self.asked = threading.Event()
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(socketserver.StreamRequestHandler):
    server: Endpoint

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the search is over, and its connections with it
            while body := self._request():
                if self.server.answers_probes and PROBE in body:
                    self.connection.sendall(_answer("ok"))
                else:
                    self.server.asked.set()
                    self.server.behaviour(self.server, self.connection)
                    return

    def _request(self) -> str:
        """The body of the next request; empty where there is none."""
        length = 0
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return self.rfile.read(length).decode()


def _answer(text: str) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    body = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "choices": choices, "usage": usage})
    return HEAD + f"Content-Length: {len(body)}\r\n\r\n{body}".encode()


def hangs(endpoint: Endpoint, _: socket.socket) -> None:
    endpoint.closing.wait()


def trickles(endpoint: Endpoint, connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n")
    while not endpoint.closing.wait(0.05):
        connection.sendall(b" ")


def floods(endpoint: Endpoint, connection: socket.socket) -> None:
    connection.sendall(HEAD + b"\r\n")
    while not endpoint.closing.is_set():
        connection.sendall(b" " * 65536)


def sends_garbage(_: Endpoint, connection: socket.socket) -> None:
    connection.sendall(bytes(range(256)) + b"\r\n\r\n")


@contextlib.contextmanager
def endpoint(behaviour: Behaviour, *, answers_probes: bool = True) -> Iterator[Endpoint]:
    with Endpoint(behaviour, answers_probes=answers_probes) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()
