"""The hot modules of this package in the form that was chosen; everything else imports them from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tickspan.instrumentation.db import parameters, statements, transaction
else:
    from tickspan_spool.twins import hot

    statements = hot("tickspan", "instrumentation.db.statements")
    parameters = hot("tickspan", "instrumentation.db.parameters")
    transaction = hot("tickspan", "instrumentation.db.transaction")

__all__ = ["parameters", "statements", "transaction"]
