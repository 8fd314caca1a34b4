"""The disk as a tier: a SQLite file that several processes share, written behind."""

from __future__ import annotations

from tickspan.cache.disk.tier import DiskStatistics, DiskTier

__all__ = ["DiskStatistics", "DiskTier"]
