"""A copy of the package with some of its hot modules compiled, built for any interpreter that has Cython."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from benchmarks.pipeline.ground import ROOT
from benchmarks.sidebyside.lines import ChildError

SPOOL: Final = ROOT / "exporters" / "tickspan-spool" / "src"
_BUILD: Final = """
import sys
from Cython.Build import cythonize
from setuptools import Extension, setup

twins = [
    Extension(
        f"tickspan._compiled.{name}",
        [f"tickspan/{name.replace('.', '/')}.py"],
        extra_compile_args=["-g0", "-O2"],
    )
    for name in sys.argv[1:]
]
modules = cythonize(twins, build_dir="build", compiler_directives={"language_level": 3}, quiet=True)
setup(name="twin", ext_modules=modules, script_args=["-q", "build_ext", "--inplace"])
"""


def built(python: str, folder: Path, *hot: str) -> tuple[Path, Path]:
    """Folders to search before the installed packages: the copy, and the spool that it needs.

    Args:
        python: an interpreter whose environment has Cython and setuptools.
        folder: empty or not there; the copy is made in it.
        hot: modules below `tickspan`; the look at threads, `profiler.snapshot`, unless given.

    Raises:
        ChildError: it cannot be built; the text holds the last line of what was said.
    """
    without = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "src" / "tickspan", folder / "tickspan", ignore=without)
    names = hot or ("profiler.snapshot",)
    command = [python, "-c", _BUILD, *names]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().rpartition("\n")[2]
        raise ChildError(f"{', '.join(names)} cannot be compiled for {python}: {said}")
    return folder, SPOOL
