"""Draws by chance that belong to an id or a text: always the same, whatever else is drawn, and in whichever order.

numpy's generators draw in sequence: what an id gets depends on how many stand before it, so that one new listing would
move the draws of all after it. Its Philox could be set to an id's place in the sequence, but one generator an id takes
42 microseconds, and these functions are asked for a million ids at once.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

GOLDEN = np.array(0x9E3779B97F4A7C15, np.uint64)  # an array, because numpy warns when a scalar of its own overflows


def hashed(ids: NDArray[np.integer], seed: int | NDArray[np.integer]) -> NDArray[np.uint64]:
    """A pseudo-random 64-bit number for each id under a seed (splitmix64: Steele, Lea and Flood 2014).

    Ids and seeds are broadcast against each other; arithmetic is modulo 2^64, as intended there.
    """
    z = ids.astype(np.uint64) + np.asarray(seed, np.int64).astype(np.uint64) * GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    numbers: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return numbers


def point_of(text: str) -> float:
    """A number from 0 to 1 that is always the same for a text, and even over many texts."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) / 2**64
