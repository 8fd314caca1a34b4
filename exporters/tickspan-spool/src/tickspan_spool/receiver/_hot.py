"""The hot module in the form that was chosen; everything else imports it from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tickspan_spool.receiver import scanning
else:
    from tickspan_spool.twins import hot

    scanning = hot("tickspan_spool", "receiver.scanning")

__all__ = ["scanning"]
