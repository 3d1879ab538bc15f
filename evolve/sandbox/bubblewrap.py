"""A view as arguments of the program `bwrap`."""

from __future__ import annotations

from evolve.sandbox.view import Do, Step, View, steps

PROGRAM = "bwrap"
MB = 1_000_000


def arguments(view: View, seccomp: int | None, *, bound: bool = True) -> list[str]:
    """What stands before the command to run. `seccomp`: descriptor from which bwrap reads the filter.

    `bound`: it ends with its parent.
    """
    words = [PROGRAM, "--unshare-all", "--unshare-user", "--cap-drop", "ALL"]
    words += ["--die-with-parent"] if bound else []
    for step in steps(view):
        words += _words(step)
    words += ["--chdir", view.scratch]
    return words + ([] if seccomp is None else ["--seccomp", str(seccomp)]) + ["--"]


def _words(step: Step) -> list[str]:
    if step.do is Do.EMPTY:
        return ["--size", str(step.megabytes * MB), "--tmpfs", step.path]
    if step.do is Do.PROC:
        return ["--proc", step.path]
    if step.do is Do.SEAL:
        return ["--remount-ro", step.path]
    option = {Do.SHOW: "--ro-bind", Do.OFFER: "--bind", Do.DEVICE: "--dev-bind", Do.LINK: "--symlink"}[step.do]
    return [option, step.source, step.path]


def exit_code(code: int) -> int:
    """The command's own ending, of which bwrap tells a signal n as 128 + n: -n then."""
    return 128 - code if 128 < code <= 128 + 64 else code
