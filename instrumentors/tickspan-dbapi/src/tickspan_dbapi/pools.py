"""Pools of drivers: their waits go along with the first statement after a checkout."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tickspan.instrumentation import Workbench
from tickspan.instrumentation.pooling import Hearers

from tickspan_dbapi.links import Driver, Recorder

__all__ = ["Waits"]


@dataclass(frozen=True, slots=True)
class Waits:
    """The row that hears how long a connection was waited for, and when it goes back."""

    module: str
    hearers: Hearers
    driver: Driver

    def apply(self, module: ModuleType, bench: Workbench) -> None:
        """Listen to whoever measures the pools."""
        del module
        recorder, driver = Recorder.of(bench), self.driver

        def heard(connection: Any, wait_ns: int | None) -> None:
            if wait_ns is not None:
                recorder.link(driver, connection).pool_wait_ns = wait_ns
            else:
                link = recorder.known_link(connection)
                if link is not None:
                    link.pool_wait_ns = None

        self.hearers.add(bench, heard)
