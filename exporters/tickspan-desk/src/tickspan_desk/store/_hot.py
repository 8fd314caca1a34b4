"""The hot module in the form that was chosen; everything else imports it from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tickspan_desk.store import walk
else:
    from tickspan_spool.twins import hot

    walk = hot("tickspan_desk", "store.walk")

__all__ = ["walk"]
