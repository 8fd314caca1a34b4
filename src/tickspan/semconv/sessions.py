"""Names of sessions: when a venue, or a desk, is open."""

from typing import Final

SESSION_OPEN: Final = "tickspan.session.open"
SESSION_NAME: Final = "tickspan.session.name"
