"""Names of metrics of a process, its interpreter and its container, as OpenTelemetry spells them.

https://opentelemetry.io/docs/specs/semconv/system/process-metrics/, .../runtime/cpython-metrics/ and
.../system/container-metrics/. What the conventions lack has the name of the collector's Docker receiver.
"""

from typing import Final

CPYTHON_GC_GENERATION: Final = "cpython.gc.generation"
PROCESS_CONTEXT_SWITCH_TYPE: Final = "process.context_switch.type"
"""voluntary or involuntary."""

PROCESS_CONTEXT_SWITCHES: Final = "process.context_switches"
PROCESS_CPU_TIME: Final = "process.cpu.time"
PROCESS_CPU_UTILIZATION: Final = "process.cpu.utilization"
PROCESS_DISK_IO: Final = "process.disk.io"
PROCESS_MEMORY_USAGE: Final = "process.memory.usage"
PROCESS_MEMORY_UTILIZATION: Final = "process.memory.utilization"
PROCESS_MEMORY_VIRTUAL: Final = "process.memory.virtual"
PROCESS_PAGING_FAULTS: Final = "process.paging.faults"
PROCESS_THREAD_COUNT: Final = "process.thread.count"
PROCESS_UNIX_FILE_DESCRIPTOR_COUNT: Final = "process.unix.file_descriptor.count"
PROCESS_UPTIME: Final = "process.uptime"

CPYTHON_GC_COLLECTED_OBJECTS: Final = "cpython.gc.collected_objects"
CPYTHON_GC_COLLECTIONS: Final = "cpython.gc.collections"
CPYTHON_GC_UNCOLLECTABLE_OBJECTS: Final = "cpython.gc.uncollectable_objects"
TICKSPAN_GC_PAUSE_DURATION: Final = "tickspan.cpython.gc.pause.duration"

CONTAINER_CPU_TIME: Final = "container.cpu.time"
CONTAINER_MEMORY_USAGE: Final = "container.memory.usage"
CONTAINER_MEMORY_WORKING_SET: Final = "container.memory.working_set"

# The collector's Docker receiver.
CPU_PERIODS: Final = "container.cpu.throttling_data.periods"
CPU_THROTTLED_PERIODS: Final = "container.cpu.throttling_data.throttled_periods"
CPU_THROTTLED_TIME: Final = "container.cpu.throttling_data.throttled_time"
MEMORY_LIMIT: Final = "container.memory.usage.limit"
TICKSPAN_CONTAINER_MEMORY_UTILIZATION: Final = "tickspan.container.memory.utilization"
