"""Stands in for the package that downloads attention kernels, where it is not installed: torch's own flash attention.

Only `get_kernel(...).flash_attn_interface.flash_attn_func` is there, for causal attention with a window.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def flash_attn_func(
    q: Tensor, k: Tensor, v: Tensor, causal: bool = True, window_size: tuple[int, int] = (-1, -1)
) -> Tensor:
    """(B, T, H, D) each -> (B, T, H, D). Raises NotImplementedError without `causal`."""
    if not causal:
        raise NotImplementedError("only causal attention")
    length, left = q.size(1), window_size[0]
    if q.is_cuda:
        flash = torch.ops.aten._flash_attention_forward
        out: Tensor = flash(
            q, k, v, None, None, length, length, 0.0, True, False, window_size_left=left, window_size_right=0
        )[0]
        return out
    t = torch.arange(length, device=q.device)
    mask = t[:, None] >= t if left < 0 else (t[:, None] >= t) & (t[:, None] - t <= left)
    heads = (z.transpose(1, 2) for z in (q, k, v))
    return scaled_dot_product_attention(*heads, attn_mask=mask).transpose(1, 2)


def get_kernel(name: str, *_: object, **__: object) -> SimpleNamespace:
    return SimpleNamespace(flash_attn_interface=SimpleNamespace(flash_attn_func=flash_attn_func))
