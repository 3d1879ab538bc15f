"""A disk under a process: kills it before any file operation, and can lose what was never flushed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

_WATCHED = ("open", "write", "fsync", "fdatasync", "rename", "link", "unlink", "ftruncate", "truncate", "mkdir")


class Disk:
    """Counts the file operations below a folder and ends the process at the given one, by SIGKILL.

    With `power`, what had not been flushed by then is lost first: files have the first half of what was
    written since their last flush, and renames into folders that were not flushed since are undone. A disk
    may keep more of it than that; a kill without `power` is the case in which it keeps all. Only calls
    through the module `os` are seen, which is all that evolve.archive makes in its own process.
    """

    def __init__(self, folder: Path, *, power: bool) -> None:
        self.operations = 0
        self._folder = str(folder)
        self._power = power
        self._end_at: int | None = None
        self._real: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in _WATCHED}
        self._paths: dict[int, str] = {}  # of open descriptors
        self._flushed: dict[str, int] = {}  # sizes of files with something to lose
        self._renamed: list[tuple[Path, Path, bytes | None]] = []  # (from, to, what was there), not flushed yet

    def watch(self, end_at: int | None) -> None:
        """From now on, die at the operation with this number; None: only count."""
        self._end_at = end_at
        for name in _WATCHED:
            setattr(os, name, getattr(self, f"_{name}", None) or self._plain(name))

    def release(self) -> None:
        for name, function in self._real.items():
            setattr(os, name, function)

    def _step(self, path: object, before_death: Callable[[], object] = lambda: None) -> None:
        if not str(path).startswith(self._folder):
            return
        self.operations += 1
        if self.operations == self._end_at:
            self.release()
            before_death()
            if self._power:
                self._lose()
            os.kill(os.getpid(), signal.SIGKILL)

    def _plain(self, name: str) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **keywords: Any) -> Any:
            self._step(path)
            return self._real[name](path, *arguments, **keywords)

        return call

    def _open(self, path: Any, flags: int, *arguments: Any, **keywords: Any) -> int:
        if flags & os.O_CREAT:
            self._step(path)
        descriptor: int = self._real["open"](path, flags, *arguments, **keywords)
        self._paths[descriptor] = str(path)
        if flags & os.O_CREAT:
            self._flushed.setdefault(str(path), os.fstat(descriptor).st_size)
        return descriptor

    def _write(self, descriptor: int, data: bytes) -> int:
        self._step(self._paths.get(descriptor), lambda: os.write(descriptor, data[: len(data) // 2]))
        done: int = self._real["write"](descriptor, data)
        return done

    def _fsync(self, descriptor: int) -> None:
        path = self._paths.get(descriptor, "")
        self._step(path)
        self._real["fsync"](descriptor)
        self._flushed.pop(path, None)
        self._renamed = [rename for rename in self._renamed if str(rename[1].parent) != path]

    def _fdatasync(self, descriptor: int) -> None:
        path = self._paths.get(descriptor, "")
        self._step(path)
        self._real["fdatasync"](descriptor)
        self._flushed[path] = os.fstat(descriptor).st_size

    def _rename(self, source: Any, target: Any, **keywords: Any) -> None:
        self._step(source)
        there = Path(target)
        self._renamed.append((Path(source), there, there.read_bytes() if there.exists() else None))
        self._real["rename"](source, target, **keywords)
        if str(source) in self._flushed:
            self._flushed[str(target)] = self._flushed.pop(str(source))

    def _ftruncate(self, descriptor: int, size: int) -> None:
        self._step(self._paths.get(descriptor))
        self._real["ftruncate"](descriptor, size)

    def _lose(self) -> None:
        for name, flushed in self._flushed.items():
            path = Path(name)
            if path.exists() and (size := path.stat().st_size) > flushed:
                path.chmod(0o644)
                os.truncate(path, flushed + (size - flushed) // 2)
        for source, target, there in reversed(self._renamed):
            if target.exists():
                target.rename(source)
            if there is not None:
                target.write_bytes(there)
