"""The venues that we know more of than their name."""

from __future__ import annotations

from typing import Final

from tickspan.trading.venues.binance import BINANCE
from tickspan.trading.venues.profile import VenueProfile

_KNOWN: Final = {profile.name: profile for profile in (BINANCE,)}


def profile_of(name: str) -> VenueProfile:
    """The profile of the venue `name`; an empty one if nothing is known of it."""
    return _KNOWN.get(name) or VenueProfile(name)
