"""Hashes of keys that are the same in every process: for samples and sketches."""

from __future__ import annotations

from typing import Final
from zlib import crc32

from tickspan.cache.entry import Key

__all__ = ["hash_of"]

_MASK: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15
_MIX: Final = 0xBF58476D1CE4E5B9


def hash_of(key: Key, seed: int = 0) -> int:
    """64 bits of which all depend on the whole key and on `seed` (the finish of splitmix64)."""
    if isinstance(key, str):
        number = crc32(key.encode("utf-8", "surrogatepass"))
    elif isinstance(key, int):
        number = key ^ _GOLDEN
    else:
        number = len(key)
        for part in key:
            number = hash_of(part, number)
    number = ((number ^ seed) * _GOLDEN) & _MASK
    number = ((number ^ (number >> 30)) * _MIX) & _MASK
    return number ^ (number >> 31)
