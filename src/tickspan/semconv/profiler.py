"""Names of what the profiler tells: its own metrics, captured profiles, attributes of samples."""

from typing import Final

PROFILER_SAMPLES: Final = "tickspan.profiler.samples"
PROFILER_CPU_TIME: Final = "tickspan.profiler.cpu.time"
PROFILER_STATE: Final = "tickspan.profiler.state"
"""gc, cpu, runqueue, gil, idle, lock or io."""

EVENT_PROFILE_CAPTURED: Final = "tickspan.profile.captured"
"""The samples of one trace, whose local root span was slow or failed; the body is folded stacks."""
PROFILE_ID: Final = "tickspan.profile.id"
"""32 hex digits: of the event, and of the span whose trace it shows."""
PROFILE_REASON: Final = "tickspan.profile.reason"
"""slow or error."""
PROFILE_LOST: Final = "tickspan.profile.lost"
"""In pprof files: samples that found no room, or whose stack nobody knows."""
PROFILE_SAMPLES: Final = "tickspan.profile.samples"
PROFILE_SPAN_NAME: Final = "tickspan.profile.span.name"

EVENT_PROFILE_REGRESSION: Final = "tickspan.profile.regression"
"""A function takes a larger share of the samples than in the version before; told by the agent."""
PROFILE_FUNCTION: Final = "tickspan.profile.function"
"""Its qualified name and file."""
PROFILE_SHARE_BEFORE: Final = "tickspan.profile.share.before"
PROFILE_SHARE_AFTER: Final = "tickspan.profile.share.after"
"""Its own share of the samples of busy threads, from 0 to 1."""
PROFILE_VERSION_BEFORE: Final = "tickspan.profile.version.before"
PROFILE_VERSION_AFTER: Final = "tickspan.profile.version.after"
"""`service.version` of the one and of the other."""

PROFILE_FRAME_TYPE: Final = "profile.frame.type"
CPYTHON: Final = "cpython"
THREAD_NAME: Final = "thread.name"
