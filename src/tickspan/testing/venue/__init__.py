"""A simulated trading venue: real protocols on loopback, scripted fills, faults on demand."""

from tickspan.testing.venue.behaviour import Behaviour, Fault, Market, Point
from tickspan.testing.venue.connect import Connect
from tickspan.testing.venue.orders import Execution, Side, Status, VenueOrder
from tickspan.testing.venue.simulator import VenueSimulator
from tickspan.testing.venue.truth import Request, Truth, Unimplemented, fetch_truth

__all__ = [
    "Behaviour",
    "Connect",
    "Execution",
    "Fault",
    "Market",
    "Point",
    "Request",
    "Side",
    "Status",
    "Truth",
    "Unimplemented",
    "VenueOrder",
    "VenueSimulator",
    "fetch_truth",
]
