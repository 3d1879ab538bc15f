"""What a sandboxed process sees of the file system, the same whether bubblewrap, a fork or Landlock enforces it."""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable
from dataclasses import dataclass

ALWAYS = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
STREAMS = {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}  # names in /dev, and where in /proc/self/fd
# Of /proc, what root may write to even without capabilities: it decides what the kernel runs, for one.
KERNEL = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/acpi", "/proc/fs", "/proc/scsi")


@dataclass(frozen=True)
class View:
    """Real absolute paths. The most specific entry decides: what is hidden may hold something readable, and so on.

    `links` are symbolic links (path, target) by which readable things are known, too. `devices` are files of /dev
    beyond the usual harmless ones. `shared_mb` bounds /dev/shm (MB, 10^6 bytes).
    """

    scratch: str
    readable: tuple[str, ...]
    hidden: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    devices: tuple[str, ...] = ()
    shared_mb: int = 64

    @classmethod
    def make(
        cls,
        scratch: str | os.PathLike[str],
        readable: Iterable[str],
        hidden: Iterable[str] = (),
        devices: Iterable[str] = (),
        shared_mb: int = 64,
    ) -> View:
        """Resolve links, and leave out what does not exist. `scratch` must exist."""
        real: set[str] = set()
        links: dict[str, str] = {}
        for path in sorted(filter(os.path.exists, readable), key=len):
            target = os.path.realpath(path)
            real.add(target)
            if target != path and not any(is_within(path, known) for known in links):
                links[path] = target
        concealed = {os.path.realpath(path) for path in hidden if os.path.exists(path)}
        home = os.path.realpath(scratch)
        if home != os.fspath(scratch):
            links[os.fspath(scratch)] = home
        return cls(
            home,
            tuple(sorted(real - concealed)),
            tuple(sorted(concealed)),
            tuple(sorted((path, to) for path, to in links.items() if not any(is_within(path, seen) for seen in real))),
            tuple(sorted(filter(os.path.exists, devices))),
            shared_mb,
        )


class Do(enum.Enum):
    """A step in making a view out of nothing."""

    SHOW = enum.auto()  # read-only, with all below
    OFFER = enum.auto()  # writable: `source` appears at `path`
    DEVICE = enum.auto()
    EMPTY = enum.auto()  # an empty file system in memory, of `megabytes`
    LINK = enum.auto()  # to `source`
    PROC = enum.auto()
    SEAL = enum.auto()  # make an empty file system read-only


@dataclass(frozen=True)
class Step:
    do: Do
    path: str
    source: str = ""
    megabytes: int = 1


def is_within(path: str, folder: str) -> bool:
    """True where `path` is `folder` or lies below it; both absolute."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def steps(view: View) -> list[Step]:
    """The mounts that make the view, in order, upon an empty root; parents of a path are made as needed."""
    hidden = [path for path in view.hidden if any(is_within(path, seen) for seen in view.readable)]
    folders = [path for path in hidden if os.path.isdir(path)]
    made = [
        *(Step(Do.EMPTY, path) for path in folders),
        *(Step(Do.SHOW, path, os.devnull) for path in hidden if path not in folders),
        *(Step(Do.SHOW, path, path) for path in _outermost(view)),
        Step(Do.OFFER, view.scratch, view.scratch),
        Step(Do.OFFER, "/tmp", f"{view.scratch}/tmp"),
        Step(Do.EMPTY, "/dev"),
        Step(Do.EMPTY, "/dev/shm", megabytes=view.shared_mb),
        *(Step(Do.DEVICE, path, path) for path in (*ALWAYS, *view.devices)),
        Step(Do.PROC, "/proc"),
        *(Step(Do.SHOW, path, path) for path in KERNEL if os.path.exists(path)),
    ]
    made.sort(key=lambda step: step.path.count("/"))  # what lies deeper comes later, and so on top
    made += [Step(Do.LINK, f"/dev/{name}", f"/proc/self/fd{rest}") for name, rest in STREAMS.items()]
    made += [Step(Do.LINK, path, target) for path, target in view.links]
    return made + [Step(Do.SEAL, path) for path in ("/dev", *folders, "/")]


def _outermost(view: View) -> list[str]:
    """The readable paths that no other one shows already."""
    return [path for path in view.readable if not _shown(path, view)]


def _shown(path: str, view: View) -> bool:
    above = [seen for seen in view.readable if seen != path and is_within(path, seen)]
    nearest = max(above, key=len, default="")
    return bool(above) and not any(is_within(path, gone) and len(gone) > len(nearest) for gone in view.hidden)


def open_paths(view: View) -> list[str]:
    """The same for a rule that can only allow: paths that may be read with all below them, hidden ones left out.

    A folder that holds something hidden is replaced by what else lies in it now; it cannot be listed itself.
    """
    found: list[str] = []
    queue = _outermost(view)
    while queue:
        path = queue.pop()
        if path in view.hidden:
            continue
        if any(is_within(gone, path) for gone in view.hidden):
            # A link would allow what it points to.
            queue += [entry.path for entry in os.scandir(path) if not entry.is_symlink()]
        else:
            found.append(path)
    return sorted(found)
