"""Python imports this before the program, because `tickspan run` put its folder on PYTHONPATH.

It takes itself out of the way first: a `sitecustomize` of the user's own runs as it would without us, and
sub-processes are instrumented only if asked for.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib would be imported for this alone


def _leave() -> None:
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]  # noqa: PTH100 - before `pathlib` is loaded
    if os.environ.get("TICKSPAN_RUN_SUBPROCESSES") == "1":
        return
    path = os.environ.get("PYTHONPATH", "")
    if path == _HERE:
        del os.environ["PYTHONPATH"]
    elif path.startswith(_HERE + os.pathsep):
        os.environ["PYTHONPATH"] = path.removeprefix(_HERE + os.pathsep)


def _run_the_users_own() -> None:
    spec = PathFinder.find_spec("sitecustomize")
    if spec is not None and spec.loader is not None:
        module = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(module)


def _start() -> None:
    try:
        import tickspan.auto  # pyright: ignore[reportUnusedImport] # noqa: F401 - importing it is what starts
    except Exception as error:  # noqa: BLE001 - a launcher's top: the program comes first
        sys.stderr.write(f"tickspan: not started: {type(error).__name__}: {error} (for {sys.executable})\n")


_leave()
try:
    _run_the_users_own()
finally:  # an error of theirs is told by Python as it would be without us
    _start()
