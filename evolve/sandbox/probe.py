"""Which sandboxes work on this machine, found by making each once; and which one to use."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evolve.errors import UserError
from evolve.sandbox import bubblewrap
from evolve.sandbox.attempt import sample_view
from evolve.sandbox.confinement import AUTO, CHOICES, Mode
from evolve.sandbox.paths import SOURCES

CAP = 60.0  # seconds; on a loaded machine, starting an interpreter may take a few
WARNING = (
    "genomes are not isolated: they run with your rights, can read and change your files and use the network. "
    "`python -m evolve doctor` says what is missing for a sandbox."
)
_SWITCHES = {
    # What a system sets to forbid user namespaces, when, and what to do about it.
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "AppArmor keeps programs from making user namespaces: give bwrap a profile that allows `userns` (Ubuntu's "
        "package apparmor-profiles has one, bwrap-userns-restrict), or set the sysctl "
        "kernel.apparmor_restrict_unprivileged_userns to 0",
    ),
    "/proc/sys/kernel/unprivileged_userns_clone": ("0", "set the sysctl kernel.unprivileged_userns_clone to 1"),
    "/proc/sys/user/max_user_namespaces": ("0", "set the sysctl user.max_user_namespaces to 10000"),
}
_CONTAINER = (
    "in a container, allow user namespaces: Docker and Podman take --security-opt seccomp=unconfined "
    "--security-opt apparmor=unconfined --security-opt systempaths=unconfined"
)


@dataclass(frozen=True)
class Probe:
    """Why something does not work here; empty where it does.

    `fork`: what bubblewrap does, done in a fork. Without it, `bwrap` starts a fresh interpreter for every trial.
    `seccomp`: without it, sockets and System V IPC are left to the namespaces alone, or to nobody (Landlock).
    """

    bwrap: str
    fork: str
    landlock: str
    seccomp: str
    landlock_abi: int = 0

    @property
    def best(self) -> Mode:
        return Mode.NONE if self.landlock and self.bwrap else Mode.LANDLOCK if self.bwrap else Mode.BWRAP


@functools.cache
def probe() -> Probe:
    """Try everything, once in a process's life; takes about a tenth of a second."""
    with tempfile.TemporaryDirectory(prefix="evolve-probe-") as folder:
        Path(folder, "tmp").mkdir()
        forked = _attempt(folder)
        return Probe(_bwrap(folder), forked["bwrap"], forked["landlock"], forked["seccomp"], int(forked["abi"] or 0))


def choose(wanted: str) -> Mode:
    """The mode for what the user asked for, `auto` or one by its name. Raises UserError where that does not work."""
    if wanted not in CHOICES:
        raise UserError(f"The sandbox '{wanted}' must be one of {', '.join(CHOICES)}.")
    if wanted == AUTO:
        return probe().best
    mode = Mode(wanted)
    why = {Mode.BWRAP: probe().bwrap, Mode.LANDLOCK: probe().landlock, Mode.NONE: ""}[mode]
    if why:
        works = [name for name in Mode if not {"bwrap": probe().bwrap, "landlock": probe().landlock}.get(name)]
        raise UserError(
            f"The sandbox '{mode}' does not work here: {why}. {mend(mode)}. What works: {', '.join(works)}."
        )
    return mode


@functools.cache
def from_environment() -> Mode:
    """The mode where nothing was said on a command line: EVOLVE_SANDBOX, else the best; `none` is warned of once.

    Raises UserError where what the variable names does not work.
    """
    mode = choose(os.environ.get("EVOLVE_SANDBOX") or AUTO)
    if mode is Mode.NONE:
        print(f"warning    {WARNING}", file=sys.stderr)
    return mode


def describe(mode: Mode) -> str:
    """What stands in the first lines of a search."""
    state = probe()
    if mode is Mode.NONE:
        return "none"
    if mode is Mode.BWRAP:
        text = "bwrap: namespaces of its own, no network, only its scratch folder writable"
        if state.fork:
            text += f"; every trial starts a fresh interpreter, because a fork cannot be confined ({state.fork})"
    else:
        text = f"landlock (ABI {state.landlock_abi}): no network, only its scratch folder writable"
        text += f"; not bwrap: {state.bwrap}" if state.bwrap else ""
    return text + (f"; no seccomp filter ({state.seccomp})" if state.seccomp else "")


def mend(mode: Mode, files: Mapping[str, str] | None = None) -> str:
    """What would make a mode work that does not; `files`: contents by path instead of the system's own."""
    if mode is Mode.LANDLOCK:
        return "Use Linux 6.2 or newer with `landlock` among the kernel's `lsm=` modules"
    if shutil.which(bubblewrap.PROGRAM) is None:
        return "Install bubblewrap (apt install bubblewrap, dnf install bubblewrap)"
    for path, (bad, cure) in _SWITCHES.items():
        if _read(path, files) == bad:
            return cure[0].upper() + cure[1:]
    if any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv")):
        return _CONTAINER[0].upper() + _CONTAINER[1:]
    return "It needs bubblewrap 0.7 or newer, and the right to make user namespaces"


def _read(path: str, files: Mapping[str, str] | None) -> str:
    if files is not None:
        return files.get(path, "").strip()
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _bwrap(folder: str) -> str:
    if shutil.which(bubblewrap.PROGRAM) is None:
        return "bubblewrap is not installed"
    # It ends by itself. Bound to an engine that is killed meanwhile, it could stay (see `Supervised`).
    command = [*bubblewrap.arguments(sample_view(folder), None, bound=False), "true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=CAP, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "it fails"


def _attempt(folder: str) -> dict[str, str]:
    """What forks can do: tried in a process of their own, because this one may have threads."""
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(SOURCES)}
    command = [sys.executable, "-P", "-m", "evolve.sandbox.attempt", folder]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=CAP, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return {"bwrap": str(error), "landlock": str(error), "seccomp": str(error), "abi": ""}
    values: dict[str, str] = json.loads(done.stdout)
    return values
