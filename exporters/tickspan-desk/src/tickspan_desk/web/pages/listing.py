"""The listing of all pages, in the order of the menu, and of the documents that go with them."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Final

from tickspan_desk.web.page import Document, Page

__all__ = ["documents", "pages"]

_MODULES: Final = (
    "traces",
    "compare",
    "orders",
    "operations",
    "metrics",
    "logs",
    "queries",
    "alerts",
    "runtime",
    "health",
    "search",
)


def pages() -> tuple[Page, ...]:
    """Each module of this package that is a page's has `PAGES`, a tuple of them."""
    return tuple(page for module in _modules() for page in module.PAGES)


def documents() -> tuple[Document, ...]:
    """Such a module may have `DOCUMENTS` too."""
    return tuple(document for module in _modules() for document in getattr(module, "DOCUMENTS", ()))


def _modules() -> list[ModuleType]:
    return [import_module(f"tickspan_desk.web.pages.{name}") for name in _MODULES]
