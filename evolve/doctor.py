"""`doctor`: what works on this machine, what is missing, and how to mend it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evolve.machine import llm_hint, processor
from evolve.sandbox.confinement import Mode
from evolve.sandbox.probe import WARNING, describe, mend, probe

MERGE_TREE = (2, 38)  # the first git whose merge-tree merges without a work tree


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `mend` is empty where nothing has to be done."""

    name: str
    found: str
    mend: str = ""
    needed: bool = True  # False: the search runs without it, with less


def examine() -> int:
    """Print every finding; returns 0 where nothing that is needed is missing, else 2."""
    missing = 0
    for check in (_python, _torch, _device, _packages, _git, _sandbox, _endpoint, _disk):
        for finding in check():
            mark = "ok" if not finding.mend else "MISSING" if finding.needed else "optional"
            missing += mark == "MISSING"
            print(f"{mark:<9} {finding.name:<10} {finding.found}")
            if finding.mend:
                print(f"{'':<20} -> {finding.mend}")
    print("\nEverything that a search needs is here." if not missing else f"\n{missing} to mend.")
    return 2 if missing else 0


def _python() -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    old = sys.version_info < (3, 11)
    yield Finding("python", f"{version} at {sys.executable}", "install Python 3.11 or newer" if old else "")


def _torch() -> Iterator[Finding]:
    if importlib.util.find_spec("torch") is None:
        yield Finding("torch", "not installed", "pip install 'torch>=2.6,<2.14'")
        return
    import torch

    yield Finding("torch", f"{torch.__version__}, {torch.get_num_threads()} threads")


def _device() -> Iterator[Finding]:
    from evolve.evaluation.gpu import list_gpus, users

    cores = len(os.sched_getaffinity(0))
    yield Finding("cpu", f"{processor()}, {cores} cores for this process")
    if importlib.util.find_spec("torch") is None:
        return
    import torch

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        yield Finding("gpu", names)
    elif shutil.which("nvidia-smi"):
        yield Finding("gpu", "nvidia-smi is here, but torch sees no GPU", "install a CUDA build of torch", False)
    else:
        yield Finding("gpu", "none; searches run on the CPU")
    for gpu in list_gpus():
        if who := users(gpu):
            yield Finding("gpu", f"{gpu} is used by {who}", "free it: no run is started beside another on a GPU", False)


def _packages() -> Iterator[Finding]:
    try:
        requirements = importlib.metadata.requires("evolve") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("evolve", "runs from its folder, not installed", "pip install -e .", needed=False)
        return
    for requirement in requirements:
        if "extra ==" in requirement:
            continue
        match = re.match(r"[A-Za-z0-9_.-]+", requirement)
        name = match.group() if match else requirement
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "not installed", f"pip install '{requirement}'")


def _git() -> Iterator[Finding]:
    if shutil.which("git") is None:
        yield Finding("git", "not installed", "install git 2.38 or newer")
        return
    text = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    numbers = re.search(r"(\d+)\.(\d+)", text)
    version = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    mend = "" if version >= MERGE_TREE else "install git 2.38 or newer: pairs with several merge bases are skipped"
    yield Finding("git", text, mend, needed=False)


def _sandbox() -> Iterator[Finding]:
    state = probe()
    yield Finding("sandbox", describe(state.best), "" if state.best is not Mode.NONE else WARNING, needed=False)
    for mode, why in ((Mode.BWRAP, state.bwrap), (Mode.LANDLOCK, state.landlock)):
        yield Finding(mode, f"does not work: {why}" if why else "works", mend(mode) if why else "", needed=False)
    if state.fork and not state.bwrap:
        cost = "every trial under bwrap starts a fresh interpreter, with torch a second or more"
        yield Finding(
            "bwrap", f"a fork cannot make its namespaces ({state.fork}): {cost}", mend(Mode.BWRAP), needed=False
        )
    if state.seccomp:
        yield Finding(
            "seccomp", f"does not work: {state.seccomp}", "build the kernel with seccomp filters", needed=False
        )


def _endpoint() -> Iterator[Finding]:
    yield Finding("endpoint", llm_hint())


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    yield Finding("disk", f"{free:.1f} GB free here", "free some space" if free < 1 else "")
