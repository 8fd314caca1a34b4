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
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]  # noqa: PTH100
    if os.environ.get("TICKSPAN_RUN_SUBPROCESSES") == "1":
        return
    rest = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != _HERE]
    if rest:
        os.environ["PYTHONPATH"] = os.pathsep.join(rest)
    else:
        os.environ.pop("PYTHONPATH", None)


def _run_the_users_own() -> None:
    spec = PathFinder.find_spec("sitecustomize")
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


def _start() -> None:
    try:
        import tickspan.auto  # pyright: ignore[reportUnusedImport] # noqa: F401 - importing it is what starts
    except ImportError as error:
        sys.stderr.write(f"tickspan: not started: {error} (for {sys.executable})\n")


_leave()
_run_the_users_own()
_start()
