"""Runs every test whose servers are there, on every interpreter that is, and says what was missing.

`TICKSPAN_TEST_INSTALL=1` brings missing servers and environments, `TICKSPAN_TEST_REQUIRE=all` makes a missing
one a failure. The last line is pytest's of the main run, then one line about the rest.
"""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OTHER_PYTHONS = ("3.12", "3.13")
PORTABLE = ("tests/unit", "exporters", "instrumentors")
"""What runs on the other interpreters: unit and conformance tests."""

IN_BOTH_FORMS = ("tests/unit/recording", "tests/unit/providers", "exporters/tickspan-spool/tests/spool")
"""What the hot modules are tested by: it runs again with their sources in place of the compiled twins."""


@dataclass(frozen=True, slots=True)
class Step:
    """One program to run. A step without words is something that is missing here."""

    name: str
    words: tuple[str, ...] = ()
    missing: str = ""
    is_beside_others: bool = False
    """It may run at the same time as the steps like it that follow: what it does is mostly waiting."""


def main() -> int:
    """Run all steps; the exit status is 0 when none failed and nothing required was missing."""
    is_all_required = os.environ.get("TICKSPAN_TEST_REQUIRE") == "all"
    failed: list[str] = []
    missing: list[str] = []
    for together in grouped(steps(is_all_required=is_all_required)):
        missing += [step.missing for step in together if not step.words]
        failed += run([step for step in together if step.words])
    print(f"missing here: {'; '.join(missing) or 'nothing'}")
    print(f"failed: {', '.join(failed) or 'nothing'}", flush=True)
    return 1 if failed or (missing and is_all_required) else 0


def grouped(planned: Iterable[Step]) -> Iterator[list[Step]]:
    """Steps in their order; those that may run at the same time are together."""
    for _, group in itertools.groupby(
        enumerate(planned), lambda one: -1 if one[1].is_beside_others else one[0]
    ):
        yield [step for _, step in group]


def run(together: list[Step]) -> list[str]:
    """Run steps at the same time; names of those that failed. What several print comes one after another."""
    if len(together) == 1:
        print(f"--- {together[0].name}: {' '.join(together[0].words[1:])}", flush=True)
    run_one = functools.partial(_run_one, is_quiet=len(together) > 1)
    with ThreadPoolExecutor(max(1, len(together))) as pool:
        ended = list(pool.map(run_one, together))
    for one in ended:
        print(one.printed, end="")
        print(f"--- {one.step.name}: {one.seconds:.0f} s", flush=True)
    return [one.step.name for one in ended if one.status != 0]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a step went; `printed` is empty where it was shown as it came."""

    step: Step
    status: int
    seconds: float
    printed: str


def _run_one(step: Step, *, is_quiet: bool) -> Ended:
    started = time.monotonic()
    if is_quiet:
        done = subprocess.run(
            step.words, check=False, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        printed = f"--- {step.name}: {' '.join(step.words[1:])}\n{done.stdout}"
        return Ended(step, done.returncode, time.monotonic() - started, printed)
    status = subprocess.run(step.words, check=False, cwd=ROOT).returncode
    return Ended(step, status, time.monotonic() - started, "")


def steps(*, is_all_required: bool) -> Iterator[Step]:
    """What to run: the fast things first, the whole suite last, so that its closing line is near the end."""
    installs = is_all_required or os.environ.get("TICKSPAN_TEST_INSTALL") == "1"
    if installs:
        yield Step("back ends", (sys.executable, "scripts/backends.py", "--install"))
    yield Step(
        "interpreted", ("env", "TICKSPAN_PURE=1", sys.executable, "-m", "pytest", "-q", *IN_BOTH_FORMS)
    )
    if installs:
        for minor in OTHER_PYTHONS:
            yield from _environment(minor)
    for minor in OTHER_PYTHONS:
        yield _on_other_python(minor, installs=installs)
    if installs:
        yield Step("library generations", (sys.executable, "scripts/generations.py", "run"))
    else:
        yield Step("", missing="older library generations (TICKSPAN_TEST_INSTALL=1)")
    yield Step("whole suite", (sys.executable, "-m", "pytest", "-q"))


def _environment(minor: str) -> Iterator[Step]:
    python = find_python(minor)
    if python is not None:
        making = ("scripts/environment.py", f".venv-{minor}", "requirements.lock", "--python", python)
        yield Step(f"environment {minor}", (sys.executable, *making))


def _on_other_python(minor: str, *, installs: bool) -> Step:
    if find_python(minor) is None:
        return Step("", missing=f"Python {minor}", is_beside_others=True)
    environment = ROOT / f".venv-{minor}"
    if not installs and not environment.is_dir():
        lacking = f"an environment for Python {minor} (TICKSPAN_TEST_INSTALL=1)"
        return Step("", missing=lacking, is_beside_others=True)
    chosen = (*PORTABLE, "-m", "not backends and not e2e")
    words = (str(environment / "bin" / "python"), "-m", "pytest", "-q", *chosen)
    return Step(f"Python {minor}", words, is_beside_others=True)


def find_python(minor: str) -> str | None:
    """An interpreter of this version that works: on PATH, or installed by pyenv."""
    shims = [f"python{minor}"]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    installed = [str(path / "bin" / "python3") for path in sorted(pyenv.glob(f"{minor}.*"))]
    return next((python for python in [*shims, *installed] if _works(python, minor)), None)


def _works(python: str, minor: str) -> bool:
    program = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    try:
        answer = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.stdout.startswith(minor)


if __name__ == "__main__":
    sys.exit(main())
