"""Randomness by key instead of by order: the same (seed, individual, purpose) always gives the same numbers."""

from __future__ import annotations

import hashlib
import random


class CounterBased(random.Random):
    """A generator whose k-th block of 256 bits is SHA-256 of (key, k): nothing but the key has to be kept.

    See Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", for the idea.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._counter = 0
        super().__init__()

    def seed(self, *_: object) -> None:
        """Nothing to do: the key is the seed."""

    def getrandbits(self, k: int) -> int:
        """A number of k random bits."""
        blocks = -(-k // 256)
        data = b"".join(
            hashlib.sha256(self._key + (self._counter + block).to_bytes(8, "big")).digest() for block in range(blocks)
        )
        self._counter += blocks
        return int.from_bytes(data, "big") >> (256 * blocks - k)

    def random(self) -> float:
        """A number of 53 random bits in [0, 1)."""
        return self.getrandbits(53) / 2**53


def generator(seed: int, individual: int, purpose: str) -> random.Random:
    """A generator of its own for one purpose of one individual.

    Trials finish in an order that no seed controls. Because no stream is shared, that order changes
    nothing but what it must: an individual draws the same numbers whoever finished before it.
    """
    return CounterBased(f"{seed}/{individual}/{purpose}/".encode())


def replicate_seed(replicate: int) -> int:
    """Seed k of the common list: replicate k of every genome runs with it, so comparisons are paired."""
    return CounterBased(f"replicate/{replicate}/".encode()).getrandbits(31)
