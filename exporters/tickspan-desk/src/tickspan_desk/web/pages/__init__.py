"""All pages, in the order of the menu, and the documents that go with them."""

from tickspan_desk.web.pages.listing import documents, pages

__all__ = ["documents", "pages"]
