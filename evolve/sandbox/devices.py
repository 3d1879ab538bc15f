"""Which device files a GPU's trial gets: those of the driver, and of its own GPU only.

Written from the driver's documented interfaces (`/proc/driver/nvidia`); not measured on a machine with several GPUs.
"""

from __future__ import annotations

import re
from pathlib import Path

SHARED = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "nvidia-caps", "dxg")


def gpu_devices(gpu: str | None, dev: Path = Path("/dev"), driver: Path = Path("/proc/driver/nvidia")) -> list[str]:
    """Device files for one GPU, as CUDA_VISIBLE_DEVICES names it: a UUID (or its beginning), or a minor number.

    Those of every GPU where the driver does not tell which one it is (a part of a GPU, say): CUDA_VISIBLE_DEVICES
    alone then keeps it to its own.
    """
    cards = sorted(str(path) for path in dev.glob("nvidia[0-9]*"))
    minor = _minor(gpu, driver) if gpu else None
    own = [path for path in cards if path == f"{dev}/nvidia{minor}"]
    shared = [str(dev / name) for name in SHARED if (dev / name).exists()]
    return shared + (own or cards)


def _minor(gpu: str, driver: Path) -> str | None:
    """The GPU's number in /dev."""
    minors = {}
    for information in driver.glob("gpus/*/information"):
        text = information.read_text(encoding="utf-8", errors="replace")
        uuid = re.search(r"^GPU UUID:\s*(\S+)", text, re.MULTILINE)
        number = re.search(r"^Device Minor:\s*(\d+)", text, re.MULTILINE)
        if uuid and number:
            minors[uuid[1]] = number[1]
    found = [number for uuid, number in minors.items() if uuid.startswith(gpu)]
    if gpu.isdigit():
        # CUDA numbers by the bus, as nvidia-smi does with CUDA_DEVICE_ORDER=PCI_BUS_ID; with one GPU they agree.
        return gpu if len(minors) <= 1 else None
    return found[0] if len(found) == 1 else None
