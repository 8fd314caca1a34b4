"""Programs under the sampler, with `snapshot` compiled into a folder of its own, and interpreted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tickspan_spool

import tickspan

BUILD = """
from Cython.Build import cythonize
from setuptools import Extension, setup

twin = Extension("tickspan._compiled.profiler.snapshot", ["tickspan/profiler/snapshot.py"])
modules = cythonize([twin], build_dir="build", compiler_directives={"language_level": 3}, quiet=True)
setup(name="twin", ext_modules=modules, script_args=["-q", "build_ext", "--inplace"])
"""
PACKAGES = [Path(str(one.__file__)).parents[1] for one in (tickspan, tickspan_spool)]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package whose only twin is that of `snapshot`."""
    if shutil.which("gcc") is None:
        pytest.skip("no C compiler: gcc is not on PATH")
    folder = tmp_path_factory.mktemp("compiled")
    twins = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(PACKAGES[0] / "tickspan", folder / "tickspan", ignore=twins)
    subprocess.run([sys.executable, "-c", BUILD], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(params=["compiled", "interpreted"])
def sampled(request: pytest.FixtureRequest) -> Run:
    """Runs a program in one form of `snapshot`, for a minute at most."""
    if request.param == "compiled":
        folders, settings = [request.getfixturevalue("compiled"), *PACKAGES[1:]], {}
    else:
        folders, settings = PACKAGES, {"TICKSPAN_PURE": "1"}
    path = os.pathsep.join(str(folder) for folder in folders)

    def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, *arguments],
            env={**os.environ, "PYTHONPATH": path, **settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run
