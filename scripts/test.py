"""Runs every test whose servers are there, on every interpreter that is, and says what was missing.

`TICKSPAN_TEST_INSTALL=1` brings missing servers and environments, `TICKSPAN_TEST_REQUIRE=all` makes a missing
one a failure. The last line is pytest's of the main run, then one line about the rest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEMBERS = ("ccxt", "dbapi", "http", "nautilus", "redis", "sqlalchemy")
"""Members that are tried on the newest interpreter too; the rest of them runs on the oldest only."""

PORTABLE = ("tests/unit", "exporters")
OTHER_PYTHONS = {
    "3.12": PORTABLE,
    "3.13": (*PORTABLE, *(f"instrumentors/tickspan-{name}" for name in MEMBERS)),
}
"""What runs on the other interpreters, unit and conformance tests: what breaks between two breaks on one."""

IN_BOTH_FORMS = (
    "tests/unit/recording",
    "tests/unit/providers",
    "tests/unit/instrumentation",
    "exporters/tickspan-desk/tests/store",
    "exporters/tickspan-spool/tests/spool",
    "exporters/tickspan-spool/tests/test_receiver_hostile.py",
    "exporters/tickspan-spool/tests/test_scanning.py",
    "instrumentors/tickspan-sqlalchemy",
    "instrumentors/tickspan-dbapi",
)
"""What the hot modules are tested by: it runs again with their sources in place of the compiled twins."""


@dataclass(frozen=True, slots=True)
class Step:
    """One program to run. A step without words is something that is missing here."""

    name: str
    words: tuple[str, ...] = ()
    missing: str = ""


def main() -> int:
    """Run all steps; the exit status is 0 when none failed and nothing required was missing."""
    is_all_required = os.environ.get("TICKSPAN_TEST_REQUIRE") == "all"
    failed: list[str] = []
    missing: list[str] = []
    for step in steps(is_all_required=is_all_required):
        if not step.words:
            missing.append(step.missing)
            continue
        print(f"--- {step.name}: {' '.join(step.words[1:])}", flush=True)
        started = time.monotonic()
        if subprocess.run(step.words, check=False, cwd=ROOT).returncode != 0:
            failed.append(step.name)
        print(f"--- {step.name}: {time.monotonic() - started:.0f} s", flush=True)
    print(f"missing here: {'; '.join(missing) or 'nothing'}")
    print(f"failed: {', '.join(failed) or 'nothing'}", flush=True)
    return 1 if failed or (missing and is_all_required) else 0


def steps(*, is_all_required: bool) -> Iterator[Step]:
    """What to run: the fast things first, the whole suite last, so that its closing line is near the end."""
    installs = is_all_required or os.environ.get("TICKSPAN_TEST_INSTALL") == "1"
    if installs:
        yield Step("back ends", (sys.executable, "scripts/backends.py", "--install"))
    yield Step(
        "interpreted", ("env", "TICKSPAN_PURE=1", sys.executable, "-m", "pytest", "-q", *IN_BOTH_FORMS)
    )
    for minor, tests in OTHER_PYTHONS.items():
        yield from _on_other_python(minor, tests, installs=installs)
    if installs:
        yield Step("library generations", (sys.executable, "scripts/generations.py", "run"))
    else:
        yield Step("", missing="older library generations (TICKSPAN_TEST_INSTALL=1)")
    yield Step("whole suite", (sys.executable, "-m", "pytest", "-q"))


def _on_other_python(minor: str, tests: Sequence[str], *, installs: bool) -> Iterator[Step]:
    python = find_python(minor)
    if python is None:
        yield Step("", missing=f"Python {minor}")
        return
    environment = ROOT / f".venv-{minor}"
    if installs:
        making = (sys.executable, "scripts/environment.py", str(environment), "requirements.lock")
        yield Step(f"environment {minor}", (*making, "--python", python))
    if not installs and not environment.is_dir():
        yield Step("", missing=f"an environment for Python {minor} (TICKSPAN_TEST_INSTALL=1)")
        return
    chosen = (*tests, "-m", "not backends and not e2e")
    yield Step(f"Python {minor}", (str(environment / "bin" / "python"), "-m", "pytest", "-q", *chosen))


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
