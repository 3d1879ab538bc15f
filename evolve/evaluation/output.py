"""What a genome prints: read for ever, kept at its two ends, made fit to be shown."""

from __future__ import annotations


class Output:
    """Keeps the first and the last bytes of a stream of any length, `limit` bytes in all."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def feed(self, data: bytes) -> None:
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * self._half:  # not at every call: each cut copies what is kept
            self._cut()

    def _cut(self) -> None:
        surplus = len(self._tail) - self._half
        if surplus > 0:
            del self._tail[:surplus]
            self._dropped += surplus

    def text(self) -> str:
        """What was kept; a line in the middle says how much was not. Bytes not UTF-8 are replaced."""
        self._cut()
        gap = f"\n[{self._dropped} bytes left out]\n".encode() if self._dropped else b""
        return (self._head + gap + self._tail).decode("utf-8", errors="replace")

    def lines(self, count: int = 30, width: int = 400) -> list[str]:
        """The last `count` lines that are not blank, each at most `width` characters of printable text."""
        # A progress bar returns to the start of its line: what it showed last is the line.
        shown = (line.rpartition("\r")[2] for line in self.text().replace("\r\n", "\n").split("\n"))
        return [printable(line)[:width] for line in shown if line.strip()][-count:]


def printable(line: str) -> str:
    """The line without control characters, which could rewrite the terminal that it is later shown on."""
    return "".join(c if c.isprintable() else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)
