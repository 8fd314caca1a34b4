"""The verb `bench` and its actions."""

from __future__ import annotations

import argparse
from typing import Final

from tickspan.cli.actions import Action, add_actions
from tickspan.cli.bench import cache, pools, redis, whole

__all__ = ["BenchCommand"]

_ACTIONS: Final[tuple[Action, ...]] = (whole, cache, redis, pools)


class BenchCommand:
    """Exit status 0 when it was measured, 1 when a target of `all` is missed, 2 when something is not there.

    Also 1 when a value came back otherwise than it was stored. Without an action it is `all`.
    """

    name = "bench"
    summary = (
        "measure on this machine what tickspan is held to; cache, Redis and pools beside what they stand on"
    )

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the actions, and the options of the one that needs no name."""
        whole.add_options(parser)
        add_actions(parser, _ACTIONS, is_required=False)
        parser.set_defaults(act=whole.run)

    def run(self, options: argparse.Namespace) -> int:
        """Do it."""
        return options.act(options)
