"""The TWS dialect of the simulated venue."""

from tickspan.testing.venue.tws.service import PAPER_ACCOUNT, TwsService

__all__ = ["PAPER_ACCOUNT", "TwsService"]
