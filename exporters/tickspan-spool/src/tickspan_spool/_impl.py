"""The hot module in the form that was chosen; everything else imports it from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tickspan_spool import segment
else:
    from tickspan_spool.twins import hot

    segment = hot("tickspan_spool", "segment")

__all__ = ["segment"]
