"""The hot modules in the form that was chosen; everything else imports them from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tickspan.recording import logrecord, mentions, metering, span, wire
else:
    from tickspan_spool.twins import hot

    wire = hot("tickspan", "recording.wire")
    span = hot("tickspan", "recording.span")
    logrecord = hot("tickspan", "recording.logrecord")
    metering = hot("tickspan", "recording.metering")
    mentions = hot("tickspan", "recording.mentions")

__all__ = ["logrecord", "mentions", "metering", "span", "wire"]
