"""Objects that were made before the instrumentor was switched on."""

from __future__ import annotations

import gc
import types
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tickspan.instrumentation import Workbench


@dataclass(frozen=True, slots=True)
class Adoption:
    """A client binds `Wrapper.tcpDataProcessed` when it is made: older ones are bound anew, and back."""

    module: str

    def apply(self, module: ModuleType, bench: Workbench) -> None:
        """Bind the clients of all `IB` objects that there are."""
        for ib in _instances(module.IB):
            client, method = ib.client, type(ib.wrapper).tcpDataProcessed
            bound = client._tcpDataProcessed  # noqa: SLF001 - where the library keeps it
            ours = types.MethodType(method, ib.wrapper)
            client._tcpDataProcessed = ours  # noqa: SLF001 - the same
            bench.on_undo(lambda client=client, bound=bound: setattr(client, "_tcpDataProcessed", bound))


def _instances(base: type) -> Iterator[Any]:
    """Objects of `base` and of its subclasses; a look at all objects, which takes milliseconds, once."""
    for cls in _below(base):
        yield from (one for one in gc.get_referrers(cls) if type(one) is cls and hasattr(one, "client"))


def _below(base: type) -> Iterator[type]:
    yield base
    for cls in base.__subclasses__():
        yield from _below(cls)
