"""Bloom filter: whether a word may be in a frame of a log file. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

__all__ = ["bloom_of", "may_hold"]

_BITS_PER_WORD: Final = 10
_PROBES: Final = 7
"""With ten bits a word, one word of a hundred that are not there is taken for one that is."""
_LEAST_BYTES: Final = 8


def bloom_of(words: Iterable[str]) -> bytes:
    """The filter of these words."""
    distinct = set(words)
    size = max(_LEAST_BYTES, (len(distinct) * _BITS_PER_WORD + 7) // 8)
    bits = bytearray(size)
    for word in distinct:
        for bit in _bits(word, size * 8):
            bits[bit >> 3] |= 1 << (bit & 7)
    return bytes(bits)


def may_hold(bloom: bytes, word: str) -> bool:
    """False only where the word was not among those that the filter was made of."""
    return all(bloom[bit >> 3] >> (bit & 7) & 1 for bit in _bits(word, len(bloom) * 8))


def _bits(word: str, size: int) -> Iterable[int]:
    digest = hashlib.blake2b(word.encode(errors="replace"), digest_size=16).digest()
    first = int.from_bytes(digest[:8], "little")
    second = int.from_bytes(digest[8:], "little") | 1
    return [(first + probe * second) % size for probe in range(_PROBES)]
