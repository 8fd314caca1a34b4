"""What may be told of Redis beyond the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Names of channels and streams are data: only those that are listed here are told."""

    metrics: bool = True
    """Whether anything is measured; spans are told in any case."""
    message_spans: bool = False
    """Whether each message that arrives by `pubsub()` is a span around its handling."""
    channels: frozenset[str] = frozenset()
    """Channels whose names may be told."""
    streams: frozenset[str] = frozenset()
    """Streams whose names, and whose groups' names, may be told."""

    @staticmethod
    def of(settings: Mapping[str, Any]) -> RedisSettings:
        """From what the distribution hands in: the mapping `redis`, each key of it optional."""
        given: Mapping[str, Any] = settings.get("redis") or {}
        return RedisSettings(
            metrics=bool(given.get("metrics", True)),
            message_spans=bool(given.get("message_spans", False)),
            channels=frozenset(given.get("channels") or ()),
            streams=frozenset(given.get("streams") or ()),
        )
