#: bwrap = "ok"
#: landlock = "ok"
#: none = "-"
#: ways = ["forked", "started"]
"""Talks to servers of the host by every kind of socket, and offers one itself."""

import socket

import toy

run = toy.start()


def send(family, kind, address):
    with socket.socket(family, kind) as client:
        client.settimeout(5)
        client.connect(tuple(address) if isinstance(address, list) else address)
        client.send(b"hello")


def offer(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.bind(address)
        server.listen()


toy.attempt("tcp", lambda: send(socket.AF_INET, socket.SOCK_STREAM, toy.bait("tcp")))
toy.attempt("udp", lambda: send(socket.AF_INET, socket.SOCK_DGRAM, toy.bait("udp")))
toy.attempt("unix", lambda: send(socket.AF_UNIX, socket.SOCK_DGRAM, toy.bait("unix")))
toy.attempt("abstract", lambda: send(socket.AF_UNIX, socket.SOCK_DGRAM, toy.bait("abstract")))
toy.attempt("a tcp server", lambda: offer(socket.AF_INET, ("127.0.0.1", 0)))
toy.attempt("an abstract server", lambda: offer(socket.AF_UNIX, "\0hostile-note"))
first, second = socket.socketpair()  # a pair of its own is no harm: libraries use them
first.send(b"x")
assert second.recv(1) == b"x"
run.finish()
