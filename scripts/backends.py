"""Back ends: the real programs that tests run against; found, installed or built.

    python scripts/backends.py                      what is there
    python scripts/backends.py --install [NAME …]   install or build what is missing

A program is looked for in the environment variable `TICKSPAN_TEST_<NAME>`, in PATH, in the folders where
Debian puts it, and in the cache `${XDG_CACHE_HOME:-~/.cache}/tickspan/backends`. This module runs before
anything is installed, so it needs the standard library only.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

if __package__:
    from .collector_build import COLLECTOR
    from .collector_build import VERSION as _COLLECTOR_VERSION
    from .go_build import GoBuild, GoBuildError, from_module
    from .kafka_broker import KAFKA
    from .kafka_broker import VERSION as _KAFKA_VERSION
else:  # run as a program
    from collector_build import COLLECTOR
    from collector_build import VERSION as _COLLECTOR_VERSION
    from go_build import GoBuild, GoBuildError, from_module
    from kafka_broker import KAFKA
    from kafka_broker import VERSION as _KAFKA_VERSION

_VERSION = re.compile(r"\d+(?:\.\d+)+")
_PROBE_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Program:
    """How a back end is recognised and where it comes from.

    Attributes:
        name: of the back end.
        executable: its main program.
        wanted: the start of an acceptable version; "" takes any.
        folders: where it may be besides PATH, as a glob pattern below "/".
        packages: Debian packages that bring it.
        build: how it is built; a program has this or packages.
        companions: files that must be there too, as paths from the program's folder.
    """

    name: str
    executable: str
    wanted: str = ""
    folders: str = ""
    packages: tuple[str, ...] = ()
    build: GoBuild | None = None
    companions: tuple[str, ...] = ()


_PROMETHEUS_VERSION = "3.16.0"
_PROMETHEUS_TAGS = "remove_all_sd"  # clients of clouds, whose targets no test scrapes
_ALERTMANAGER_VERSION = "0.31.1"

PROGRAMS: Mapping[str, Program] = {
    program.name: program
    for program in (
        Program("otelcol", "otelcol", wanted=_COLLECTOR_VERSION, build=COLLECTOR),
        Program(
            "promtool",
            "promtool",
            wanted=_PROMETHEUS_VERSION,
            build=from_module(
                "prometheus",
                _PROMETHEUS_VERSION,
                "github.com/prometheus/prometheus/cmd/promtool",
                tags=_PROMETHEUS_TAGS,
            ),
        ),
        Program(
            "prometheus",
            "prometheus",
            wanted=_PROMETHEUS_VERSION,
            build=from_module(
                "prometheus",
                _PROMETHEUS_VERSION,
                "github.com/prometheus/prometheus/cmd/prometheus",
                tags=_PROMETHEUS_TAGS,
            ),
        ),
        Program(
            "alertmanager",
            "alertmanager",
            wanted=_ALERTMANAGER_VERSION,
            build=from_module(
                "alertmanager",
                _ALERTMANAGER_VERSION,
                "github.com/prometheus/alertmanager/cmd/alertmanager",
                "github.com/prometheus/alertmanager/cmd/amtool",
            ),
            companions=("amtool",),
        ),
        Program("kafka", "kafka", wanted=_KAFKA_VERSION, build=KAFKA),
        Program("redis-server", "redis-server", packages=("redis-server",)),
        Program("postgresql", "postgres", folders="usr/lib/postgresql/*/bin", packages=("postgresql",)),
        Program(
            "hypopg",
            "postgres",
            wanted="15",
            folders="usr/lib/postgresql/15/bin",
            packages=("postgresql-15", "postgresql-15-hypopg"),
            companions=("../lib/hypopg.so", "../lib/auto_explain.so", "../lib/pg_stat_statements.so"),
        ),
        Program("zsh", "zsh", packages=("zsh",)),
        Program("fish", "fish", packages=("fish",)),
        Program("chromium", "chromium", packages=("chromium", "fonts-dejavu-core")),
        # The core packages hold the programs without a service that would start; `mariadb-install-db` needs
        # a program of the client's.
        Program(
            "mariadb",
            "mariadbd",
            folders="usr/sbin",
            packages=("mariadb-server-core", "mariadb-client-core"),
            companions=("../bin/mariadb-install-db", "../bin/my_print_defaults"),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Backend:
    """A program that was found; its companions are in the same folder."""

    name: str
    executable: Path
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class Missing:
    """A program that was not found."""

    name: str
    searched: tuple[str, ...]
    problem: str = ""  # why installing it failed

    def __str__(self) -> str:
        advice = self.problem or "TICKSPAN_TEST_INSTALL=1 installs or builds it"
        return f"{self.name} is missing: searched {', '.join(self.searched)}; {advice}"


Finding: TypeAlias = Backend | Missing


class InstallError(Exception):
    """A back end could not be installed; the message says why and what to do."""


def backend(name: str, environment: Mapping[str, str] | None = None) -> Finding:
    """Find a back end; with `TICKSPAN_TEST_INSTALL=1` install or build it when it is missing.

    Args:
        name: one of `PROGRAMS`.
        environment: the process's when not given.
    """
    settings = os.environ if environment is None else environment
    found = find(PROGRAMS[name], settings)
    if isinstance(found, Backend) or settings.get("TICKSPAN_TEST_INSTALL") != "1":
        return found
    if settings.get(_variable(found.name)):
        return Missing(name, found.searched, "nothing is installed while the variable names a program")
    try:
        install(PROGRAMS[name], settings)
    except InstallError as error:
        return Missing(name, found.searched, str(error))
    return find(PROGRAMS[name], settings)


def find(program: Program, environment: Mapping[str, str]) -> Finding:
    """Look for a program, in the order of this module's first paragraph."""
    searched: list[str] = []
    for place, executable in _candidates(program, environment):
        searched.append(place)
        if executable is None or not executable.is_file():
            continue
        lacking = [name for name in program.companions if not (executable.parent / name).exists()]
        if lacking:
            searched[-1] += f" ({executable} is there, not {', '.join(lacking)})"
            continue
        version = _version(executable)
        if version is not None and version.startswith(program.wanted):
            return Backend(program.name, executable, version)
        searched[-1] += f" ({executable} is version {version}, wanted {program.wanted or 'any'})"
    return Missing(program.name, tuple(searched))


def install(program: Program, environment: Mapping[str, str]) -> None:
    """Install or build a program; several processes may ask at once. Raises InstallError."""
    with _one_at_a_time(_cache_root(environment)):
        if program.packages:
            _install_packages(program.packages)
        elif program.build and not program.build.is_built(_cache(program, environment)):
            try:
                program.build.build(_cache(program, environment), environment)
            except GoBuildError as error:
                raise InstallError(str(error)) from error


def describe(findings: Sequence[Finding], skipped: int = 0) -> str:
    """One line such as "backends: redis-server 7.0.15; postgresql MISSING, 11 skipped"."""
    there = ", ".join(str(finding) for finding in findings if isinstance(finding, Backend))
    gone = ", ".join(f"{finding.name} MISSING" for finding in findings if isinstance(finding, Missing))
    line = "; ".join(part for part in (there, gone) if part) or "none asked for"
    return f"backends: {line}" + (f", {skipped} skipped" if skipped else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Report, or install, back ends. Returns 1 when one is missing in the end."""
    parser = argparse.ArgumentParser(
        description="Find, install or build the real programs that tests run against."
    )
    parser.add_argument("--install", action="store_true", help="install or build what is missing")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(PROGRAMS)}; all when not given"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in PROGRAMS]
    if unknown:
        parser.error(f"unknown back end {unknown[0]!r}: expected one of {', '.join(PROGRAMS)}")
    environment = dict(os.environ)
    if options.install:
        environment["TICKSPAN_TEST_INSTALL"] = "1"
    findings = [backend(name, environment) for name in options.names or PROGRAMS]
    for finding in findings:
        print(f"  {finding}" + (f"  {finding.executable}" if isinstance(finding, Backend) else ""))
    print(describe(findings))
    return int(any(isinstance(finding, Missing) for finding in findings))


def _variable(name: str) -> str:
    return f"TICKSPAN_TEST_{name.upper().replace('-', '_')}"


def _candidates(program: Program, environment: Mapping[str, str]) -> Iterator[tuple[str, Path | None]]:
    """Places to look at, each with what a reader should be told. A given variable is the only place."""
    variable = _variable(program.name)
    given = environment.get(variable)
    if given:
        yield f"{variable}={given}", Path(given)
        return
    yield variable, None
    in_path = shutil.which(program.executable, path=environment.get("PATH"))
    yield "PATH", _with_companions(Path(in_path)) if in_path else None
    if program.folders:
        folders = sorted(Path("/").glob(program.folders), key=_natural, reverse=True)
        yield f"/{program.folders}", folders[0] / program.executable if folders else None
    if program.build:
        folder = _cache(program, environment)
        yield f"{folder}", folder / program.executable if program.build.is_built(folder) else None


def _with_companions(executable: Path) -> Path:
    """Where a link leads, unless to a program that goes by the name it is called (Debian's redis-server)."""
    target = executable.resolve()
    return target if target.name == executable.name else executable


def _natural(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]


def _cache_root(environment: Mapping[str, str]) -> Path:
    base = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or Path.home()) / ".cache"
    return Path(base) / "tickspan" / "backends"


def _cache(program: Program, environment: Mapping[str, str]) -> Path:
    return _cache_root(environment) / f"{program.name}-{program.wanted}"


def _version(executable: Path) -> str | None:
    """What `--version` says; None when the file cannot be run."""
    try:
        answer = subprocess.run(
            [executable, "--version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_PROBE_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    number = _VERSION.search(answer.stdout)
    return number[0] if number else None


def _install_packages(packages: Sequence[str]) -> None:
    apt = shutil.which("apt-get")
    if apt is None:
        raise InstallError(f"install the package {' '.join(packages)}: there is no apt-get here")
    if os.geteuid() != 0:
        raise InstallError(f"run `apt-get install {' '.join(packages)}` as root: this process is not")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in ([apt, "update"], [apt, "install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet)
    if done.returncode != 0:
        raise InstallError(f"apt-get install {' '.join(packages)} failed: {done.stderr.strip()[-500:]}")


@contextmanager
def _one_at_a_time(folder: Path) -> Generator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
