"""Memory of the process: pauses, growth, leaks, a governor of the garbage collector, pools of objects."""

from tickspan.memory.calls import (
    census,
    get_memory_optimizer,
    idle_window,
    optimize_for_high_frequency_trading,
    optimize_for_large_datasets,
    plan,
    warmed_up,
    watch_loop,
)
from tickspan.memory.censor import Census, Held, TypeCount
from tickspan.memory.governor import CollectorState, Freeze, Governor, IdleWindow, Plan
from tickspan.memory.leak import LeakReport
from tickspan.memory.object_pool import BufferPool, ObjectPool, ObjectPoolStatistics, PoolError
from tickspan.memory.optimized import memory_optimized
from tickspan.memory.overseer import critical
from tickspan.memory.pressure import on_pressure
from tickspan.memory.reporting import MemoryReport, report
from tickspan.memory.window import AllocatedAt, DeclinedError, Detail, Window, detailed

__all__ = [
    "AllocatedAt",
    "BufferPool",
    "Census",
    "CollectorState",
    "DeclinedError",
    "Detail",
    "Freeze",
    "Governor",
    "Held",
    "IdleWindow",
    "LeakReport",
    "MemoryReport",
    "ObjectPool",
    "ObjectPoolStatistics",
    "Plan",
    "PoolError",
    "TypeCount",
    "Window",
    "census",
    "critical",
    "detailed",
    "get_memory_optimizer",
    "idle_window",
    "memory_optimized",
    "on_pressure",
    "optimize_for_high_frequency_trading",
    "optimize_for_large_datasets",
    "plan",
    "report",
    "warmed_up",
    "watch_loop",
]
