"""Run the SDK's own test suite with tickspan's providers in place of the SDK's: `make check-upstream`.

    python scripts/check_upstream.py

The suite is the `tests/` folder in the source distribution of the installed opentelemetry-sdk version.
It runs first as it is: what fails then fails because of the environment, and is not asked of us. What passes
with the SDK's classes must pass with ours, compiled and interpreted; and once more in both forms with every
provider recording into a sink, less `EXCLUDED`. The sources are kept in
`${XDG_CACHE_HOME:-~/.cache}/tickspan/upstream/VERSION`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

_CREATION: Final = "tests/trace/test_trace.py::TestSpanCreation::test_"
_SPAN: Final = "tests/trace/test_trace.py::TestSpan::test_"
_LOGGER: Final = "tests/logs/test_logs.py::TestLogger::test_"
_LOG_EXPORT: Final = (
    "tests/logs/test_export.py::TestSimpleLogRecordProcessor::test_simple_log_record_processor_"
)
_METERS: Final = "tests/metrics/test_metrics.py::TestMeterProvider::test_"
_PARENT: Final = (
    "asks that a child's parent *is* its parent's context; ours is an equal value, made when asked for"
)
_ENABLED: Final = "without a processor the SDK has nowhere to record to; with a sink there is always somebody"
EXCLUDED: Final[Mapping[str, str]] = {
    _CREATION + "start_as_current_span_decorator": _PARENT,
    _CREATION + "start_as_current_span_explicit": _PARENT,
    _CREATION + "start_as_current_span_implicit": _PARENT,
    _CREATION + "start_span_explicit": _PARENT,
    _CREATION + "start_span_implicit": _PARENT,
    _CREATION + "update_resource": "a span leaves under the resource of its end, not of its start",
    _SPAN + "add_link_with_invalid_span_context_with_tracestate": "puts a text in place of a trace state",
    _SPAN + "attributes": "asks for a URL with its query: it is kept out",
    _SPAN + "invalid_attribute_values": "asks for warnings: any object is recorded as something sensible",
    _SPAN + "record_exception_context_manager": "asks for source lines: literals in them are secrets",
    _SPAN + "status_cannot_set_unset": "asks for the same warning twice: ours comes once a minute",
    _LOGGER + "enabled_all_processors_disabled_returns_false": _ENABLED,
    _LOGGER + "enabled_passes_args_to_processor": _ENABLED,
    _LOGGER + "enabled_with_no_processors_returns_false": _ENABLED,
    _LOGGER + "enabled_with_processor_returns_true": _ENABLED,
    _LOG_EXPORT + "doesnt_enter_recursive_loop": "asks that the SDK tells of a loop: ours has cut it before",
    _METERS
    + "register_asynchronous_instrument": "compares instruments that a mock of the SDK's consumer got",
    _METERS + "shutdown": "asks that a reader's exception reaches the caller",
}
"""Test id to the reason why it cannot pass where providers record into a sink; elsewhere all pass."""

_TEST_REQUIREMENTS: Final = ("flaky", "psutil")
_SCRIPTS: Final = Path(__file__).parent
_RUN_TIMEOUT_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Suite:
    """Upstream's tests, and a folder with what they import that is not installed here."""

    root: Path
    requirements: Path


@dataclass(frozen=True, slots=True)
class Run:
    """Outcomes of one run by test id, and pytest's closing line."""

    outcomes: Mapping[str, str]
    closing_line: str
    log: str


def main() -> int:
    """Print each run's closing line and each regression. Returns 1 when there is one."""
    suite = fetched(version("opentelemetry-sdk"), _cache_root())
    stock = run(suite)
    print(f"stock                      {stock.closing_line}", flush=True)
    runs = {
        "compiled": ((), {}),
        "interpreted": ((), {"TICKSPAN_PURE": "1"}),
        "compiled, into a sink": (("--forced",), {}),
        "interpreted, into a sink": (("--forced",), {"TICKSPAN_PURE": "1"}),
    }
    lost: list[str] = []
    for name, (options, environment) in runs.items():
        ours = run(suite, "--ours", *options, environment=environment)
        print(f"{name:<26} {ours.closing_line}", flush=True)
        excluded = EXCLUDED if options else {}
        missed = [test for test in regressions(stock.outcomes, ours.outcomes) if test not in excluded]
        for test in missed:
            print(f"  fails with tickspan's providers, {name}: {test}")
        if missed:
            print(ours.log)
        lost += missed
    print(
        f"check-upstream: {len(lost)} of {_passed(stock)} tests that pass with stock classes fail with ours"
        f", {len(EXCLUDED)} excluded where providers record into a sink"
    )
    return int(bool(lost) or not _passed(stock))


def regressions(stock: Mapping[str, str], ours: Mapping[str, str]) -> list[str]:
    """Tests that passed with the SDK's classes and did not pass, or did not run, with ours."""
    return [test for test, outcome in stock.items() if outcome == "passed" and ours.get(test) != "passed"]


def run(suite: Suite, *options: str, environment: Mapping[str, str] | None = None) -> Run:
    """Run the suite in a process of its own; `--ours` substitutes the classes, `--forced` gives them a sink.

    Raises `RuntimeError` with the end of the log when pytest did not get to its end.
    """
    with tempfile.TemporaryDirectory() as folder:
        outcomes = Path(folder) / "outcomes.json"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:tickspan", "-p", "no:cacheprovider"),
                *("-p", "upstream_substitution", "--outcomes", outcomes, *options),
                "tests",
            ],
            cwd=suite.root,
            env={**_environment(suite), **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=_RUN_TIMEOUT_S,
        )
        if not outcomes.exists():
            raise RuntimeError(f"pytest did not finish:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        closing = [line for line in done.stdout.splitlines() if " passed" in line or " failed" in line]
        return Run(json.loads(outcomes.read_text()), closing[-1].strip("= ") if closing else "", done.stdout)


def fetched(sdk_version: str, cache: Path) -> Suite:
    """The suite of one SDK version, downloaded once; complete or not there at all."""
    home = cache / sdk_version
    if not home.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            _fetch(sdk_version, Path(folder))
            (Path(folder) / "complete").rename(home)
    return Suite(home / "sources", home / "requirements")


def _fetch(sdk_version: str, folder: Path) -> None:
    """Pip knows where packages come from; it is taken from a throw-away venv, since this one may lack it."""
    venv.create(folder / "pip", with_pip=True)
    pip = [folder / "pip" / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    complete, sdist = folder / "complete", folder / "sdist"
    complete.mkdir()
    source = f"opentelemetry-sdk=={sdk_version}"
    for command in (
        [
            "download",
            "--no-deps",
            "--no-binary",
            ":all:",
            "--dest",
            sdist,
            source,
        ],
        ["install", "--no-deps", "--target", complete / "requirements", *_TEST_REQUIREMENTS],
    ):
        subprocess.run([*pip, *command], check=True)
    with tarfile.open(next(sdist.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    shutil.move(next(folder.glob("opentelemetry_sdk-*")), complete / "sources")


def _environment(suite: Suite) -> dict[str, str]:
    """As this process's, without what would configure an SDK; the suite starts `python` by name."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TICKSPAN_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    return {**kept, "PATH": path, "PYTHONPATH": f"{_SCRIPTS}{os.pathsep}{suite.requirements}"}


def _cache_root() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tickspan" / "upstream"


def _passed(run: Run) -> int:
    return sum(outcome == "passed" for outcome in run.outcomes.values())


if __name__ == "__main__":
    sys.exit(main())
