"""What a venue's own words mean: where it carries ids, and why it refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tickspan.instrumentation import redact
from tickspan.trading.model import Reject, RejectOrigin, RejectReason

MAX_MESSAGE: Final = 256
"""Characters of a venue's reject text that are kept."""


@dataclass(frozen=True, slots=True)
class VenueProfile:
    """Facts about one venue; the empty profile says nothing and harms nothing."""

    name: str
    client_id_fields: tuple[str, ...] = (
        "newClientOrderId",
        "clientOrderId",
        "client_order_id",
        "clOrdId",
        "orderLinkId",
    )
    """Request fields that hold the client's order id, the most telling first."""
    reasons: Mapping[str, RejectReason] = field(default_factory=dict[str, RejectReason])
    """Reject code to reason."""
    message_reasons: tuple[tuple[str, RejectReason], ...] = ()
    """Fragment of the reject text to reason, asked before the code: some codes mean many things."""


def reject_of_code(profile: VenueProfile, code: str, message: str | None) -> Reject:
    """A refusal by the venue itself."""
    text = redact.text(message)[:MAX_MESSAGE] if message else None
    return Reject(
        f"{profile.name}:{code}", _reason(profile, code, text or ""), RejectOrigin.VENUE, code, text
    )


def _reason(profile: VenueProfile, code: str, text: str) -> RejectReason:
    for fragment, reason in profile.message_reasons:
        if fragment in text:
            return reason
    return profile.reasons.get(code, RejectReason.OTHER)


def client_id_in(profile: VenueProfile, request: str) -> str | None:
    """The client's order id in a request's query or body; None if it carries none, or several."""
    for name in profile.client_id_fields:
        pattern = rf"[?&\"'{{, ]{name}[\"']?\s?[=:]\s?[\"']?([\w.:/-]{{1,64}})"
        found = {match for match in re.findall(pattern, f"&{request}") if isinstance(match, str)}
        if found:
            return found.pop() if len(found) == 1 else None
    return None
