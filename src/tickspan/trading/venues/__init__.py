"""What is particular to a venue: hosts, routes, ids, budgets, reasons, one module per venue."""

from tickspan.trading.venues.known import profile_of, profile_of_host, profiles
from tickspan.trading.venues.profile import (
    LimitField,
    OrderRoute,
    RateHeader,
    VenueProfile,
    client_id_in,
    reject_of_code,
)

__all__ = [
    "LimitField",
    "OrderRoute",
    "RateHeader",
    "VenueProfile",
    "client_id_in",
    "profile_of",
    "profile_of_host",
    "profiles",
    "reject_of_code",
]
