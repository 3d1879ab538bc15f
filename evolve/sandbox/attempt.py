"""Makes each sandbox once in a fork and prints, as JSON, why it failed: `python -m evolve.sandbox.attempt FOLDER`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

from evolve.sandbox import landlock, seccomp
from evolve.sandbox.confinement import Confinement, Mode
from evolve.sandbox.paths import SOURCES, always_readable
from evolve.sandbox.view import View


def sample_view(folder: str) -> View:
    """A view as a genome with this scratch folder has it."""
    return View.make(folder, always_readable(str(SOURCES)))


def main(folder: str) -> None:
    view = sample_view(folder)
    tried = {mode.value: _why(_maker(mode, view)) for mode in (Mode.BWRAP, Mode.LANDLOCK)}
    print(json.dumps(tried | {"seccomp": seccomp.missing(), "abi": _abi()}))


def _maker(mode: Mode, view: View) -> Callable[[], None]:
    def make() -> None:
        confinement = Confinement(mode, view, executes=False)
        child = os.fork()  # in bubblewrap's mode, the namespaces are those of children
        if child == 0:
            _report(confinement.enter)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != 0:
            raise OSError("the process in it could not be confined")

    return make


def _why(attempt: Callable[[], None]) -> str:
    """What an attempt raises, made in a fork; empty where it works."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.dup2(writing, 2)
        _report(attempt)
    os.close(writing)
    with open(reading, "rb") as said:
        words = said.read().decode(errors="replace").strip()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "" if code == 0 else words.splitlines()[0] if words else f"it ended with code {code}"


def _report(attempt: Callable[[], None]) -> None:
    """End this process with code 0 where the attempt works; else say why."""
    code = 1
    try:
        attempt()
        code = 0
    except OSError as error:
        os.write(2, f"{error}\n".encode())
    finally:
        os._exit(code)


def _abi() -> str:
    try:
        return str(landlock.abi())
    except OSError:
        return ""


if __name__ == "__main__":
    main(sys.argv[1])
