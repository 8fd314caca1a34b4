"""Who leaves a full memory tier: one module for each policy, and what they stand on."""

from __future__ import annotations

from tickspan.cache.policies.choice import replacement
from tickspan.cache.policies.deadlines import Deadlines
from tickspan.cache.policies.hashes import hash_of
from tickspan.cache.policies.lfu import Lfu
from tickspan.cache.policies.lru import Lru
from tickspan.cache.policies.replacement import Replacement, Weighed
from tickspan.cache.policies.s3fifo import S3Fifo
from tickspan.cache.policies.sketch import Sketch
from tickspan.cache.policies.tinylfu import WTinyLfu
from tickspan.cache.policies.ttl import Ttl

__all__ = [
    "Deadlines",
    "Lfu",
    "Lru",
    "Replacement",
    "S3Fifo",
    "Sketch",
    "Ttl",
    "WTinyLfu",
    "Weighed",
    "hash_of",
    "replacement",
]
