"""`tickspan bench`: what the cache, Redis and pools do on this machine, beside what they stand on."""

from tickspan.cli.bench.command import BenchCommand

__all__ = ["BenchCommand"]
