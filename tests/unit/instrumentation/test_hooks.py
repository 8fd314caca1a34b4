"""Post-import hooks: the action runs once, when the module is complete, whoever imports it and however."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
import zipfile
from collections.abc import Callable, Generator
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tickspan.instrumentation import hooks, when_imported

Write = Callable[..., None]


@pytest.fixture(autouse=True)
def nothing_stays_pending() -> Generator[None]:
    before = list(sys.meta_path)
    yield
    assert hooks._pending == {}
    assert sys.meta_path == before


@pytest.fixture
def seen() -> list[str]:
    return []


def noting(seen: list[str]) -> Callable[[ModuleType], None]:
    return lambda module: seen.append(module.__name__)


def test_a_module_that_is_there_is_told_of_at_once(seen: list[str]) -> None:
    when_imported("json", noting(seen))
    assert seen == ["json"]


def test_a_module_is_told_of_when_it_is_imported(write: Write, seen: list[str]) -> None:
    write("lib_one.py", "x = 1")
    when_imported("lib_one", noting(seen))
    before = list(seen)
    importlib.import_module("lib_one")
    assert (before, seen) == ([], ["lib_one"])


def test_the_action_sees_the_finished_module(write: Write) -> None:
    write("lib_one.py", "x = 1\ny = 2")
    values: list[int] = []
    when_imported("lib_one", lambda module: values.append(module.y))
    importlib.import_module("lib_one")
    assert values == [2]


def test_actions_run_in_the_order_of_their_registration_and_once(write: Write) -> None:
    write("lib_one.py")
    order: list[int] = []
    when_imported("lib_one", lambda module: order.append(1))
    when_imported("lib_one", lambda module: order.append(2))
    module = importlib.import_module("lib_one")
    importlib.reload(module)
    assert order == [1, 2]


def test_packages_and_their_modules_are_told_of_separately(write: Write, seen: list[str]) -> None:
    write("lib/__init__.py", "from lib import client")
    write("lib/client.py")
    write("lib/late.py")
    for name in ("lib", "lib.client", "lib.late"):
        when_imported(name, noting(seen))
    importlib.import_module("lib")
    first = list(seen)
    importlib.import_module("lib.late")
    assert (first, seen) == (["lib.client", "lib"], ["lib.client", "lib", "lib.late"])


def test_the_loader_and_the_spec_are_those_of_an_unwatched_import(write: Write, seen: list[str]) -> None:
    write("lib_one.py")
    when_imported("lib_one", noting(seen))
    module = importlib.import_module("lib_one")
    assert module.__spec__ is not None
    assert type(module.__spec__) is ModuleSpec
    assert type(module.__loader__) is SourceFileLoader
    assert vars(module.__loader__) == {"name": "lib_one", "path": module.__file__}


def test_a_module_without_a_loader_instance_is_told_of(seen: list[str]) -> None:
    name = "_sha2" if sys.version_info >= (3, 12) else "_sha512"
    before = sys.modules.pop(name, None)
    importlib.invalidate_caches()
    when_imported(name, noting(seen))
    importlib.import_module(name)
    assert seen == [name]
    assert before is None or sys.modules.setdefault(name, before)


def test_modules_that_share_a_loader_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "libs.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped_a.py", "x = 1")
        file.writestr("zipped_b.py", "x = 2")
    monkeypatch.syspath_prepend(archive)
    seen: list[tuple[str, int]] = []
    when_imported("zipped_a", lambda module: seen.append((module.__name__, module.x)))
    importlib.util.find_spec("zipped_a")
    importlib.import_module("zipped_b")
    importlib.import_module("zipped_a")
    del sys.modules["zipped_a"], sys.modules["zipped_b"]
    assert seen == [("zipped_a", 1)]


def test_looking_for_a_module_is_no_import(write: Write, seen: list[str]) -> None:
    write("lib_one.py")
    when_imported("lib_one", noting(seen))
    importlib.util.find_spec("lib_one")
    importlib.util.find_spec("lib_one")
    before = list(seen)
    importlib.import_module("lib_one")
    assert (before, seen) == ([], ["lib_one"])


def test_a_lazily_loaded_module_still_loads(write: Write, seen: list[str]) -> None:
    write("lib_one.py", "x = 1")
    when_imported("lib_one", noting(seen))
    spec = importlib.util.find_spec("lib_one")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["lib_one"] = module
    spec.loader.exec_module(module)
    assert module.x == 1
    del sys.modules["lib_one"]
    importlib.import_module("lib_one")
    assert seen == ["lib_one"]


def test_a_missing_module_is_missing_as_ever(seen: list[str]) -> None:
    cancel = when_imported("no_such_library", noting(seen))
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_library'"):
        importlib.import_module("no_such_library")
    cancel()
    assert seen == []


def test_an_import_that_fails_keeps_its_error_and_the_next_one_is_told_of(
    write: Write, seen: list[str]
) -> None:
    write("lib_one.py", "raise LookupError('not today')")
    when_imported("lib_one", noting(seen))
    with pytest.raises(LookupError, match="not today"):
        importlib.import_module("lib_one")
    failed = list(seen)
    write("lib_one.py", "x = 'a source of another length'")
    importlib.import_module("lib_one")
    assert (failed, seen) == ([], ["lib_one"])


def test_a_cancelled_action_does_not_run(write: Write, seen: list[str]) -> None:
    write("lib_one.py")
    cancel = when_imported("lib_one", noting(seen))
    when_imported("lib_one", noting(seen))
    cancel()
    cancel()
    importlib.import_module("lib_one")
    cancel()
    assert seen == ["lib_one"]


def test_an_action_may_import_and_register(write: Write, seen: list[str]) -> None:
    write("lib_one.py")
    write("lib_two.py")

    def go_on(module: ModuleType) -> None:
        when_imported("lib_two", noting(seen))
        importlib.import_module("lib_two")
        seen.append(module.__name__)

    when_imported("lib_one", go_on)
    importlib.import_module("lib_one")
    assert seen == ["lib_two", "lib_one"]


def test_a_module_that_replaces_itself_is_told_of_as_what_it_became(write: Write) -> None:
    write("lib_one.py", "import sys, types\nsys.modules[__name__] = types.SimpleNamespace(x=1)")
    seen: list[Any] = []
    when_imported("lib_one", seen.append)
    importlib.import_module("lib_one")
    assert seen == [sys.modules.pop("lib_one")]


def test_a_registration_during_the_modules_own_import_waits_for_its_end(write: Write) -> None:
    write("lib_one.py", "import lib_setup\nx = 1")
    write(
        "lib_setup.py",
        """
        from tickspan.instrumentation import when_imported
        seen = []
        when_imported("lib_one", lambda module: seen.append(module.x))
        early = list(seen)
        """,
    )
    importlib.import_module("lib_one")
    setup = sys.modules["lib_setup"]
    assert (setup.early, setup.seen) == ([], [1])


@pytest.mark.parametrize("is_registered_before", [True, False])
def test_an_import_in_another_thread_is_told_of_at_its_end(
    write: Write, seen: list[str], monkeypatch: pytest.MonkeyPatch, is_registered_before: bool
) -> None:
    entered, released = threading.Event(), threading.Event()
    gate = ModuleType("lib_gate")
    gate.entered, gate.released = entered, released  # pyright: ignore[reportAttributeAccessIssue] - made here
    monkeypatch.setitem(sys.modules, "lib_gate", gate)
    write("lib_one.py", "import lib_gate\nlib_gate.entered.set()\nlib_gate.released.wait(10)\nx = 1")
    names = ["lib_one", "json"][: 1 if is_registered_before else 0]
    for name in names:
        when_imported(name, noting(seen))
    importing = threading.Thread(target=importlib.import_module, args=("lib_one",))
    importing.start()
    assert entered.wait(10)
    when_imported("lib_one", lambda module: seen.append(f"x = {module.x}"))
    early = list(seen)
    released.set()
    importing.join(10)
    assert (early, seen) == ([], [*names, "x = 1"])


def test_threads_that_import_while_hooks_come_and_go_find_their_modules(write: Write) -> None:
    for number in range(60):
        write(f"lib_{number}.py", f"x = {number}")
    found: list[int] = []

    def import_all() -> None:
        found.extend(importlib.import_module(f"lib_{number}").x for number in range(60))

    def come_and_go() -> None:
        for _ in range(2000):
            when_imported("no_such_library", lambda module: None)()

    threads = [threading.Thread(target=import_all), threading.Thread(target=come_and_go)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == list(range(60))
