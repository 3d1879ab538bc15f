"""Randomness by key instead of by order: the same (seed, individual, purpose) always gives the same numbers."""

from __future__ import annotations

import hashlib
import random


def generator(seed: int, individual: int, purpose: str) -> random.Random:
    """A generator of its own for one purpose of one individual.

    Trials finish in an order that no seed controls. Because no stream is shared, that order changes
    nothing but what it must: an individual draws the same numbers whoever finished before it.
    """
    key = hashlib.sha256(f"{seed}/{individual}/{purpose}".encode()).digest()
    return random.Random(int.from_bytes(key, "big"))


def replicate_seed(replicate: int) -> int:
    """Seed k of the common list: replicate k of every genome runs with it, so comparisons are paired."""
    return int.from_bytes(hashlib.sha256(f"replicate/{replicate}".encode()).digest()[:4], "big") % 2**31
