"""What is particular to a venue: where it carries ids and why it refuses, one module per venue."""

from tickspan.trading.venues.known import profile_of
from tickspan.trading.venues.profile import VenueProfile, client_id_in, reject_of_code

__all__ = ["VenueProfile", "client_id_in", "profile_of", "reject_of_code"]
