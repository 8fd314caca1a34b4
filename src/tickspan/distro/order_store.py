"""Orders that outlive their process: where the registry of this one looks them up."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from tickspan.instrumentation import redact, type_name, when_imported
from tickspan.recording import diagnostics


def look_orders_up(store: str, home: Path) -> None:
    """Once the program uses orders, give their registries the store that `trading.store` names.

    A store that cannot be used is told in one line; orders are then known to their own process only.
    """
    if store == "off":
        return

    def wire(trading: ModuleType) -> None:
        from tickspan.trading.stores.tap import store_at  # only programs that trade pay for it

        try:
            trading.use_store(store_at(store, home))
        except (ValueError, ImportError) as error:
            told = redact.text(str(error))
            diagnostics.warning("orders of other processes are not known: %s: %s", type_name(error), told)

    when_imported("tickspan.trading", wire)
