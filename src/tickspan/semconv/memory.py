"""Names of what is noted about the memory of the process while spans run."""

from typing import Final

EVENT_MEMORY: Final = "tickspan.memory.finding"
"""A span during which the process grew much, or a process that is beyond its limit."""

MEMORY_SPAN_GROWTH: Final = "tickspan.memory.span.growth"
"""How much the process grew while a span ran, whoever it was that took the memory."""
MEMORY_SPAN_NAME: Final = "tickspan.memory.span.name"

MEMORY_REASON: Final = "tickspan.memory.reason"
"""growth or limit."""
MEMORY_USED: Final = "tickspan.memory.used"
"""Resident bytes."""
MEMORY_GROWN: Final = "tickspan.memory.grown"
"""Bytes."""
MEMORY_ALLOWED: Final = "tickspan.memory.allowed"
"""The limit that was crossed, in bytes."""
