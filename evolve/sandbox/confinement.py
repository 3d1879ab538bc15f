"""One process's sandbox: made by its supervisor, entered by the fork that becomes the process."""

from __future__ import annotations

import enum

from evolve.sandbox import bubblewrap, kernel, landlock, seccomp
from evolve.sandbox.namespaces import Namespaces
from evolve.sandbox.view import View


class Mode(enum.StrEnum):
    """What enforces a view."""

    BWRAP = "bwrap"  # a program is started through bubblewrap; a fork makes the same namespaces itself
    LANDLOCK = "landlock"
    NONE = "none"


AUTO = "auto"  # the best that works on a machine
CHOICES = (AUTO, *(mode.value for mode in Mode))


class Confinement:
    """Raises OSError where the system does not allow it."""

    def __init__(self, mode: Mode, view: View, *, executes: bool) -> None:
        """`executes`: the process will execute a program, which `command` wraps; else it stays a fork."""
        self._mode = mode
        self._view = view
        self._wraps = mode is Mode.BWRAP and executes
        self._namespaces = Namespaces(view) if mode is Mode.BWRAP and not executes else None
        self._filter = (
            None if mode is Mode.NONE or seccomp.missing() else seccomp.make_filter(mute=mode is Mode.LANDLOCK)
        )

    @property
    def own_processes(self) -> set[int]:
        """What runs for the sandbox itself."""
        return set() if self._namespaces is None else {self._namespaces.init}

    def enter(self) -> None:
        """Confine this process, a fork of the one that made this; the current folder is then the scratch folder."""
        if self._wraps:
            return  # bubblewrap does it, and some systems install it with rights that it needs for that
        # No set-uid program gets its owner's rights below this process: it could not be killed then.
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        if self._namespaces is not None:
            self._namespaces.enter(self._view.scratch)
        elif self._mode is Mode.LANDLOCK:
            landlock.restrict(self._view)
            kernel.drop_capabilities()
        if self._filter is not None:
            self._filter.apply()

    def command(self, argv: list[str]) -> list[str]:
        """What to execute instead of `argv`."""
        if not self._wraps:
            return argv
        return bubblewrap.arguments(self._view, None if self._filter is None else self._filter.as_pipe()) + argv

    def exit_code(self, code: int) -> int:
        """The process's own ending (-signal), from that of what was executed."""
        return bubblewrap.exit_code(code) if self._wraps else code
