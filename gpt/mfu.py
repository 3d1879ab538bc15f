"""Model FLOPs utilisation: how much of what a GPU can do a run has done."""

from __future__ import annotations

import torch
from torch import nn

# Dense bf16 operations a second, from the vendor's data sheets; the first name that is part of the device's counts.
PEAK_FLOPS = {
    "B200": 2250e12,
    "GH200": 989.4e12,
    "H200": 989.4e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835.5e12,
    "H100": 989.4e12,
    "A100": 312e12,
    "L40S": 362e12,
    "RTX 6000 Ada": 364e12,
    "RTX 5090": 209.5e12,
    "RTX 4090": 165.2e12,
    "RTX 3090": 71e12,
    "A10G": 70e12,
    "L4": 121e12,
}


def peak_flops(device_name: str) -> float | None:
    """Dense bf16 operations a second of the device with that name; None where the table lacks it."""
    return next((flops for name, flops in PEAK_FLOPS.items() if name in device_name), None)


def flops_per_token(model: nn.Module) -> float:
    """Operations of a forward and backward pass, by the model's own `flops_per_token` where it has that attribute.

    Else 6 a parameter (Kaplan et al. 2020) outside embedding tables, which are looked up and not multiplied by: too
    few by those of attention, 12 * width * context a layer (Chowdhery et al. 2022), of which only the model knows.
    """
    own = getattr(model, "flops_per_token", None)
    if isinstance(own, int | float):
        return float(own)
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    multiplied = {
        id(parameter)
        for module in model.modules()
        if not isinstance(module, nn.Embedding)
        for parameter in module.parameters(recurse=False)
    }
    return 6.0 * sum(p.numel() for p in model.parameters() if id(p) in multiplied or id(p) not in tables)


def mfu_percent(device: torch.device, model: nn.Module, tokens: int, seconds: float) -> float:
    """Of training `tokens` in `seconds`; 0 on a CPU and where the device's peak is not known."""
    if device.type != "cuda" or seconds <= 0:
        return 0.0
    peak = peak_flops(torch.cuda.get_device_name(device))
    return 0.0 if peak is None else 100 * flops_per_token(model) * tokens / seconds / peak
