"""What nvidia-smi says of the GPUs: which there are, who uses one, and how fast it runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

SAMPLE_SECONDS = 2
IDLE_MB = 1500.0  # memory in use without a process that could be seen: the driver's own is less
# Bits of the clocks' event reasons that are no normal operation; the cap on power is one.
SLOWED = {
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}


def list_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; empty without nvidia-smi."""
    there = _query(["--query-gpu=uuid"])
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None or not there:
        return [words[0] for words in there]
    return [name.strip() for name in visible.split(",") if name.strip()]


def gpu_names(gpus: Sequence[str]) -> str:
    """The models of some GPUs in words: "2 x NVIDIA H100 80GB HBM3"."""
    names = [words[0] for gpu in gpus for words in _query([f"--id={gpu}", "--query-gpu=name"])]
    return ", ".join(
        f"{names.count(name)} x {name}" if names.count(name) > 1 else name for name in dict.fromkeys(names)
    )


def users(gpu: str) -> str:
    """Who computes on a GPU, in words; empty where nobody does. None of ours may be running on it.

    A container does not see the processes of others, but the memory that they hold.
    """
    processes = _query([f"--id={gpu}", "--query-compute-apps=pid,process_name"])
    if processes:
        return ", ".join(f"process {words[0]} ({words[-1]})" for words in processes)
    used = [_number(words[0]) for words in _query([f"--id={gpu}", "--query-gpu=memory.used"])]
    if used and used[0] > IDLE_MB:
        return f"somebody who holds {used[0]:.0f} MB of its memory"
    return ""


@dataclass(frozen=True)
class Sample:
    """One look at a GPU. `unix` is Unix time, `clock` the processors' clock in MHz, `reasons` why it is not higher."""

    unix: float
    clock: float
    reasons: int


class Sampler:
    """Looks at a GPU every SAMPLE_SECONDS for as long as the block lasts; without nvidia-smi it sees nothing."""

    def __init__(self, gpu: str) -> None:
        self._command = [
            "nvidia-smi",
            f"--id={gpu}",
            "--query-gpu=clocks.sm,clocks_throttle_reasons.active",
            "--format=csv,noheader,nounits",
            f"--loop={SAMPLE_SECONDS}",
        ]
        self.samples: list[Sample] = []

    def __enter__(self) -> Sampler:
        # Not this process's signals: Ctrl-C in the terminal is the engine's to handle.
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
        )
        self._reader = threading.Thread(target=self._read, name="gpu-sampler", daemon=True)
        self._reader.start()
        return self

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            clock, _, reasons = line.partition(",")
            with contextlib.suppress(ValueError):  # "[N/A]": some devices do not tell
                self.samples.append(Sample(time.time(), float(clock), int(reasons.strip() or "0", 16)))

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _query(arguments: list[str]) -> list[list[str]]:
    """The cells of each line; none where nvidia-smi is absent or does not answer."""
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", *arguments, "--format=csv,noheader,nounits"]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return []
    if listing.returncode != 0:
        return []
    return [[cell.strip() for cell in line.split(",")] for line in listing.stdout.splitlines() if line.strip()]


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return 0.0
