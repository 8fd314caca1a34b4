"""Compiles the hot modules where a compiler is there; everything else stands in pyproject.toml.

The twin of `tickspan_desk/store/NAME.py` is built from the same file as `tickspan_desk._compiled.store.NAME`.
Without a compiler the install succeeds and the interpreted form runs. `TICKSPAN_REQUIRE_EXT=1` makes a failed
compilation an error, `TICKSPAN_PURE=1` compiles nothing.
"""

from __future__ import annotations

import os

from setuptools import Extension, setup

HOT = ("store.walk",)


def extensions() -> list[Extension]:
    """What to compile."""
    if os.environ.get("TICKSPAN_PURE") == "1":
        return []
    from Cython.Build import cythonize  # the build's own requirement

    is_required = os.environ.get("TICKSPAN_REQUIRE_EXT") == "1"
    modules = [
        Extension(
            f"tickspan_desk._compiled.{name}",
            [f"src/tickspan_desk/{name.replace('.', '/')}.py"],
            extra_compile_args=["-g0", "-O2"],
            optional=not is_required,
        )
        for name in HOT
    ]
    return cythonize(modules, build_dir="build/cython", compiler_directives={"language_level": 3})


setup(ext_modules=extensions())
