"""No library: a dict, which is what every cache is slower than."""

from __future__ import annotations

import platform

from benchmarks.data.caches.library import Library, Reader, Run, Values


def library() -> Library:
    """A dict, neither bounded nor counted."""
    return Library(f"{platform.python_implementation()} {platform.python_version()}", {"get": _get})


def _get(values: Values, _run: Run) -> Reader:
    return Reader(dict(values).get)
