"""Post-import hooks: run an action right after a module is imported, or at once when it already is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

Action = Callable[[ModuleType], None]

_lock: Final = threading.RLock()
_pending: Final[dict[str, list[Action]]] = {}


class _Finder(MetaPathFinder):
    """Finds nothing itself: it asks the others, and makes the loader they name call our actions afterwards.

    It stands on `sys.meta_path` only while actions are pending. The loader keeps its class and identity;
    its `exec_module` is shadowed on the instance for the one import.
    """

    def __init__(self) -> None:
        self._asked = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname not in _pending or getattr(self._asked, "name", None) == fullname:
            return None
        before, self._asked.name = getattr(self._asked, "name", None), fullname
        try:
            spec = find_spec(fullname)
        finally:
            self._asked.name = before
        if spec is not None and spec.loader is not None:
            _shadow_exec(spec.loader, fullname)
        return spec


_finder: Final = _Finder()


def _shadow_exec(loader: Any, fullname: str) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        del loader.exec_module
        execute(module)
        _run(fullname, module)

    loader.exec_module = exec_module


def _run(fullname: str, module: ModuleType) -> None:
    with _lock:
        actions = _pending.pop(fullname, [])
        _leave_if_idle()
    for action in actions:
        action(module)


def _leave_if_idle() -> None:
    if not _pending and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


def when_imported(name: str, action: Action) -> Callable[[], None]:
    """Call `action(module)` when the module `name` has been imported; now, if it is in `sys.modules`.

    `action` must not raise. Returns a function that cancels a pending action.
    """
    with _lock:
        module = sys.modules.get(name)
        if module is None or _is_being_imported(module):
            _pending.setdefault(name, []).append(action)
            if _finder not in sys.meta_path:
                sys.meta_path.insert(0, _finder)
            return lambda: _cancel(name, action)
    action(module)
    return lambda: None


def _is_being_imported(module: ModuleType) -> bool:
    spec = getattr(module, "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def _cancel(name: str, action: Action) -> None:
    with _lock:
        actions = _pending.get(name, [])
        if action in actions:
            actions.remove(action)
        if not actions:
            _pending.pop(name, None)
        _leave_if_idle()
