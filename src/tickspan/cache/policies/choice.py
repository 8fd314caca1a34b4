"""Choice: which class a policy's name stands for."""

from __future__ import annotations

from tickspan.cache.policies.lfu import Lfu
from tickspan.cache.policies.lru import Lru
from tickspan.cache.policies.replacement import Replacement
from tickspan.cache.policies.s3fifo import S3Fifo
from tickspan.cache.policies.tinylfu import WTinyLfu
from tickspan.cache.policies.ttl import Ttl
from tickspan.cache.rules import Policy

__all__ = ["replacement"]


def replacement(policy: Policy, capacity: int) -> Replacement:
    """An empty one for about `capacity` keys; `adaptive` begins as S3-FIFO."""
    match policy:
        case Policy.LRU:
            return Lru()
        case Policy.LFU:
            return Lfu()
        case Policy.TTL:
            return Ttl()
        case Policy.W_TINYLFU:
            return WTinyLfu(capacity)
        case Policy.S3FIFO | Policy.ADAPTIVE:
            return S3Fifo()
