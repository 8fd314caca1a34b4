"""What memory does to spans: pauses of the garbage collector, blocked event loops, growth, limits."""

from tickspan.processors.memory.blocks import BlockTeller, block_attributes
from tickspan.processors.memory.checks import MemoryChecks, Sighting, install
from tickspan.processors.memory.spans import SpanMemory, watch_spans
from tickspan.processors.memory.watching import watch

__all__ = [
    "BlockTeller",
    "MemoryChecks",
    "Sighting",
    "SpanMemory",
    "block_attributes",
    "install",
    "watch",
    "watch_spans",
]
