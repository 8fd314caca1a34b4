"""Redis for tickspan: what redis-py does, as OpenTelemetry spans and durations without keys or values."""

from tickspan_redis.instrumentor import RedisInstrumentor

__all__ = ["RedisInstrumentor"]
