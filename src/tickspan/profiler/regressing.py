"""What a regression looks like as a log event."""

from __future__ import annotations

import time
from typing import Final

from tickspan.profiler.versions import Regression
from tickspan.recording.wire import encode_log
from tickspan.semconv import profiler as names

__all__ = ["regression_record"]

_WARNING: Final = 13


def regression_record(found: Regression, now_ns: int | None = None) -> bytes:
    """The event `tickspan.profile.regression`, as an entry of a scope."""
    at_ns = time.time_ns() if now_ns is None else now_ns
    change = found.change
    body = (
        f"{change.function} takes {change.after:.1%} of {found.service} {found.after},"
        f" {change.before:.1%} of {found.before}"
    )
    attributes: dict[str, str | float] = {
        names.PROFILE_FUNCTION: change.function,
        names.PROFILE_SHARE_BEFORE: change.before,
        names.PROFILE_SHARE_AFTER: change.after,
        names.PROFILE_VERSION_BEFORE: found.before,
        names.PROFILE_VERSION_AFTER: found.after,
    }
    event = names.EVENT_PROFILE_REGRESSION
    return encode_log(at_ns, at_ns, _WARNING, "WARN", body, attributes, 0, 0, 0, 0, event)
