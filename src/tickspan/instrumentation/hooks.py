"""Post-import hooks: run an action right after a module is imported, or at once when it already is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

Action = Callable[[ModuleType], None]

_lock: Final = threading.RLock()
_pending: Final[dict[str, list[Action]]] = {}


class _WatchedSpec(ModuleSpec):
    """The spec of a module that is being imported, until the import system says that it has been.

    It says so on the spec, whatever the loader is: no loader is replaced, wrapped or touched. The actions run
    before other threads, which wait for that sign, can use the module.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_initializing" and not value:
            object.__setattr__(self, "__class__", ModuleSpec)
            _run(self.name)
        object.__setattr__(self, name, value)  # `super()` refuses once the class is another


class _Finder(MetaPathFinder):
    """Finds nothing itself: it asks the others, and watches what they found.

    It stands on `sys.meta_path` only while actions are pending.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _pending:
            return None
        for finder in tuple(sys.meta_path):
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                _watch(spec)
                return spec
        return None


_finder: Final = _Finder()


def _watch(spec: ModuleSpec) -> None:
    if type(spec) is ModuleSpec:
        spec.__class__ = _WatchedSpec


def _run(name: str) -> None:
    module = sys.modules.get(name)
    if module is None:  # its import failed: the next attempt may not
        return
    with _lock:
        actions = _pending.pop(name, [])
        _leave_if_idle()
    for action in actions:
        action(module)


def _leave_if_idle() -> None:
    if not _pending and _finder in sys.meta_path:
        # A new list: another thread may be walking the old one, and would skip a finder.
        sys.meta_path = [finder for finder in sys.meta_path if finder is not _finder]


def when_imported(name: str, action: Action) -> Callable[[], None]:
    """Call `action(module)` when the module `name` has been imported; now, if it is in `sys.modules`.

    `action` must not raise. Returns a function that cancels a pending action.
    """
    with _lock:
        _pending.setdefault(name, []).append(action)
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)
    module = sys.modules.get(name)
    if module is not None and not _is_being_imported(module):
        _run(name)
    return lambda: _cancel(name, action)


def _is_being_imported(module: ModuleType) -> bool:
    """Whether the import is under way, in this or another thread; if so, its end is watched."""
    spec = getattr(module, "__spec__", None)
    if spec is not None and getattr(spec, "_initializing", False):
        _watch(spec)
    return bool(getattr(spec, "_initializing", False))  # asked again: it may have ended meanwhile


def _cancel(name: str, action: Action) -> None:
    with _lock:
        actions = _pending.get(name, [])
        if action in actions:
            actions.remove(action)
        if not actions:
            _pending.pop(name, None)
        _leave_if_idle()
