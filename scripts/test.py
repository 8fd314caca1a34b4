"""Runs every test whose servers are there, on every interpreter that is, and says what was missing.

`TICKSPAN_TEST_INSTALL=1` brings missing servers and environments, `TICKSPAN_TEST_REQUIRE=all` makes a missing
one a failure. The last lines say what was missing and what failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
MEMBERS = ("ccxt", "dbapi", "http", "nautilus", "redis", "sqlalchemy")
"""Members that are tried on the newest interpreter too; the rest of them runs on the oldest only."""

PORTABLE = ("tests/unit", "exporters")
OTHER_PYTHONS = {
    "3.12": PORTABLE,
    "3.13": (*PORTABLE, *(f"instrumentors/tickspan-{name}" for name in MEMBERS)),
}
"""What runs on the other interpreters, unit and conformance tests: what breaks between two breaks on one."""

PARTS = ("tests/unit", "exporters", "instrumentors")
"""What is tested by itself; the tests beside it are of programs, servers and documents."""

MEASURING = "tests/perf"

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
    installs = is_all_required or os.environ.get("TICKSPAN_TEST_INSTALL") == "1"
    failed: list[str] = []
    missing: list[str] = []
    for together in rounds(installs=installs):
        missing += [step.missing for step in together if not step.words]
        failed += run([step for step in together if step.words])
    print(f"missing here: {'; '.join(missing) or 'nothing'}")
    print(f"failed: {', '.join(failed) or 'nothing'}", flush=True)
    return 1 if failed or (missing and is_all_required) else 0


def run(together: Sequence[Step]) -> list[str]:
    """Run them side by side, two at once where there are cores for it; the names of those that failed.

    One alone prints as it goes; of several each prints when it has ended, and says that it has begun.
    """
    if len(together) == 1:
        return [] if _ends_well(together[0], None) else [together[0].name]
    failed: list[str] = []
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool, TemporaryDirectory() as folder:
        logs = [Path(folder) / str(number) for number in range(len(together))]
        for step, log, is_well in zip(together, logs, pool.map(_ends_well, together, logs), strict=True):
            print(log.read_text(encoding="utf-8", errors="replace"), end="", flush=True)
            failed += [] if is_well else [step.name]
    return failed


def _ends_well(step: Step, log: Path | None) -> bool:
    """Whether the step ends well; all that it prints goes to the log, or straight on."""
    if log is not None:
        print(f"--- {step.name} has begun", flush=True)
    with nullcontext(sys.stdout) if log is None else log.open("w", encoding="utf-8") as out:
        print(f"--- {step.name}: {' '.join(step.words[1:])}", file=out, flush=True)
        started = time.monotonic()
        status = subprocess.run(
            step.words, check=False, cwd=ROOT, stdout=out, stderr=None if log is None else out
        ).returncode
        print(f"--- {step.name}: {time.monotonic() - started:.0f} s", file=out, flush=True)
    return status == 0


def rounds(*, installs: bool) -> Iterator[list[Step]]:
    """What to run, round after round: what is needed, the suite in parts, and alone what measures time."""
    if installs:
        yield [Step("back ends", (sys.executable, "scripts/backends.py", "--install"))]
    others: list[Step] = []
    for minor, tests in OTHER_PYTHONS.items():
        making, testing = _on_other_python(minor, tests, installs=installs)
        if making is not None:
            yield [making]
        others.append(testing)
    here = (sys.executable, "-m", "pytest", "-q")
    yield [
        Step("systems", (*here, "tests", *(f"--ignore={folder}" for folder in (*PARTS, MEASURING)))),
        Step("parts", (*here, *PARTS)),
        *others,
        Step("library generations", (sys.executable, "scripts/generations.py", "run"))
        if installs
        else Step("", missing="older library generations (TICKSPAN_TEST_INSTALL=1)"),
        Step("interpreted", ("env", "TICKSPAN_PURE=1", *here, *IN_BOTH_FORMS)),
    ]
    yield [Step("measuring", (*here, MEASURING))]


def _on_other_python(minor: str, tests: Sequence[str], *, installs: bool) -> tuple[Step | None, Step]:
    """What makes its environment, if that is asked for, and what tests in it."""
    python = find_python(minor)
    if python is None:
        return None, Step("", missing=f"Python {minor}")
    environment = ROOT / f".venv-{minor}"
    if not installs and not environment.is_dir():
        return None, Step("", missing=f"an environment for Python {minor} (TICKSPAN_TEST_INSTALL=1)")
    making = (sys.executable, "scripts/environment.py", str(environment), "requirements.lock", "--python")
    testing = (str(environment / "bin" / "python"), "-m", "pytest", "-q", *tests)
    return (
        Step(f"environment {minor}", (*making, python)) if installs else None,
        Step(f"Python {minor}", (*testing, "-m", "not backends and not e2e")),
    )


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
