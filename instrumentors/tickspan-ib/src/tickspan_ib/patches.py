"""The table: which functions of ib_async and ib_insync tell what. They share their names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from tickspan.instrumentation import Row, Workbench, Wrap
from tickspan.trading import MessagePatch, ReadLoopPatch

from tickspan_ib import calls, connections, market, reports
from tickspan_ib.adoption import Adoption

LIBRARIES: Final = ("ib_async", "ib_insync")

MakeFor = Callable[[Any, Workbench, str], Any]


def _rows(library: str) -> tuple[Row, ...]:
    client, connection, wrapper = f"{library}.client", f"{library}.connection", f"{library}.wrapper"

    def wrap(module: str, target: str, make: MakeFor) -> Wrap:
        return Wrap(module, target, lambda original, bench: make(original, bench, library))

    return (
        ReadLoopPatch(connection, "Connection.connectAsync"),
        MessagePatch(connection, "Connection.data_received"),
        Wrap(connection, "Connection.sendMsg", calls.handing_over),
        wrap(client, "Client.connectAsync", connections.connecting),
        Wrap(client, "Client.disconnect", connections.disconnecting),
        wrap(client, "Client.sendMsg", connections.queueing),
        wrap(client, "Client.placeOrder", calls.sending),
        wrap(client, "Client.cancelOrder", calls.canceling),
        wrap(client, "Client.reqGlobalCancel", calls.canceling_all),
        wrap(f"{library}.ib", "IB.placeOrder", calls.placing),
        *(
            wrap(wrapper, f"Wrapper.{name}", partial(reports.reporting, name=name))
            for name in reports.REPORTS
        ),
        wrap(wrapper, "Wrapper.error", connections.warning),
        Wrap(wrapper, "Wrapper.connectionClosed", connections.losing),
        wrap(wrapper, "Wrapper.tcpDataProcessed", market.delivering),
        Wrap(wrapper, "Wrapper.endTicker", market.unsubscribing),
        *(
            wrap(wrapper, f"Wrapper.{name}", partial(market.bar_arriving, name=name))
            for name in market.BARS_OF
        ),
        Wrap(f"{library}.ticker", "TickerUpdateEvent.emit", market.updating),
        Adoption(f"{library}.ib"),
    )


ROWS: Final[tuple[Row, ...]] = tuple(row for library in LIBRARIES for row in _rows(library))
