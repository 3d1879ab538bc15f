"""What a finished run says of itself: its constants, its memory, and the printed lines."""

from __future__ import annotations

import math
import re
import resource
import sys
from dataclasses import dataclass
from types import ModuleType

import torch

Constant = bool | int | float | str
_CONSTANT = re.compile(r"[A-Z][A-Z0-9_]*")


@dataclass(frozen=True)
class Summary:
    """The figures of one run. Memory is MB (10^6 bytes), times are seconds."""

    val_bpb: float
    training_seconds: float
    total_seconds: float
    peak_memory_mb: float
    mfu_percent: float
    tokens: int
    steps: int
    parameters: int
    depth: Constant | None

    def __str__(self) -> str:
        """A `key: value` a line, under the keys that harnesses of this kind share."""
        lines = {
            "val_bpb": f"{self.val_bpb:.6f}",
            "training_seconds": f"{self.training_seconds:.1f}",
            "total_seconds": f"{self.total_seconds:.1f}",
            "peak_vram_mb": f"{self.peak_memory_mb:.1f}",
            "mfu_percent": f"{self.mfu_percent:.2f}",
            "total_tokens_M": f"{self.tokens / 1e6:.3f}",
            "num_steps": str(self.steps),
            "num_params_M": f"{self.parameters / 1e6:.3f}",
        }
        if self.depth is not None:
            lines["depth"] = str(self.depth)
        return "---\n" + "\n".join(f"{key + ':':<18}{value}" for key, value in lines.items())


def constants(module: ModuleType) -> dict[str, Constant]:
    """The module's capital-letter names that hold a truth value, a finite number or a string."""
    return {
        name: value
        for name, value in vars(module).items()
        if _CONSTANT.fullmatch(name)
        and isinstance(value, bool | int | float | str)
        and (not isinstance(value, float) or math.isfinite(value))
    }


def peak_memory_mb(device: torch.device) -> float:
    """The most memory used so far: the device's on a GPU, the process's own on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
