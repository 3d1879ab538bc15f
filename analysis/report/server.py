"""Shows the page of a run on loopback and keeps it up to date while the search runs."""

from __future__ import annotations

import hashlib
import http.server
import os
import signal
import sys
import threading
import time
from http import HTTPStatus
from pathlib import Path

from analysis.report.page import build
from evolve.archive import plumbing
from evolve.archive.repository import Archive
from evolve.errors import UserError
from evolve.rundir import RunDirectory

ADDRESS = "127.0.0.1"
LEAST_PAUSE = 5.0  # seconds between two pages made
SHARE = 0.05  # of one core at most, for making pages: workers train beside it


class Source:
    """The latest page of a run, made anew when it is asked for, the archive has changed and a pause is over."""

    def __init__(self, directory: RunDirectory, share: float = SHARE) -> None:
        """`share`: of a core's time, at most, that goes into making pages."""
        self._share = share
        self._directory = directory
        self._lock = threading.Lock()
        self._revision = ""
        self._page = b""
        self._due = 0.0

    def page(self) -> tuple[str, bytes]:
        """The page and the revision of the archive that it shows. Raises UserError where it cannot be read."""
        with self._lock:
            if time.monotonic() >= self._due and (revision := _revision(self._directory.archive)) != self._revision:
                began = time.monotonic()
                with Archive.open(self._directory.archive) as archive:
                    self._page = build(archive, self._directory, revision=revision).encode()
                self._revision = revision
                took = time.monotonic() - began
                self._due = time.monotonic() + max(LEAST_PAUSE, took / self._share)
            return self._revision, self._page


def _revision(path: Path) -> str:
    refs = sorted(plumbing.list_refs(path).items())
    return hashlib.sha256(repr(refs).encode()).hexdigest()[:20]


class Server(http.server.ThreadingHTTPServer):
    """Serves one page to this machine."""

    daemon_threads = True

    def __init__(self, source: Source, port: int) -> None:
        self.source = source
        super().__init__((ADDRESS, port), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Readers come and go: that is nothing to tell."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.server_address[1]}/"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    server_version = "evolve"
    sys_version = ""
    timeout = 30  # seconds that a connection may be silent; each is for one answer, so that an ended server is noticed

    def do_GET(self) -> None:
        # A page elsewhere may have its own name resolve to this machine; the name in the request tells.
        host = self.headers.get("Host", "").rpartition(":")
        if host[0] not in (ADDRESS, "localhost") or host[2] != str(self.server.server_address[1]):
            self._answer(HTTPStatus.FORBIDDEN, f"This server answers to {self.server.url} only.\n".encode())
            return
        if self.path.partition("?")[0] != "/":
            self._answer(HTTPStatus.NOT_FOUND, f"There is one page: {self.server.url}\n".encode())
            return
        try:
            revision, page = self.server.source.page()
        except UserError as error:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n".encode())
            return
        tag = f'"{revision}"'
        if self.headers.get("If-None-Match") == tag:
            self._answer(HTTPStatus.NOT_MODIFIED, b"", tag)
        else:
            self._answer(HTTPStatus.OK, page, tag, "text/html")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, status: HTTPStatus, body: bytes, tag: str = "", kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Referrer-Policy", "no-referrer")
        if tag:
            self.send_header("ETag", tag)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing of requests: they come every few seconds."""


def serve(run: str, port: int) -> None:
    """Serve the page of a run until Ctrl-C. Raises UserError for no such run and a port that is taken.

    The process takes the lowest priority: it must not slow what is being measured.
    """
    directory = RunDirectory.find(run)
    try:
        server = Server(Source(directory), port)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise UserError(
            f"Port {port} cannot be served on: {why}. Give another one with --port, or 0 for any."
        ) from error
    os.nice(19)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts this in the background has it ignored
    with server:
        print(f"{directory.path} on {server.url}  (Ctrl-C ends)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
