"""The cases, by family."""

from collections.abc import Iterator
from typing import Final

from ..case import Case  # noqa: TID252 - the package has two names: as a script's and as a test's
from . import clocks, connections, disks, exits, forks, grpc_statuses, kills, loads, statuses, users, values

_FAMILIES: Final = (
    connections,
    statuses,
    grpc_statuses,
    loads,
    exits,
    forks,
    kills,
    disks,
    clocks,
    users,
    values,
)


def _all() -> Iterator[Case]:
    for family in _FAMILIES:
        yield from family.CASES


CASES: Final = tuple(_all())

__all__ = ["CASES"]
