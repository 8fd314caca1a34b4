"""Makes an environment for this checkout from a lock file: `uv` where it is there, plain `pip` elsewhere.

    python3 scripts/environment.py .venv requirements.lock

Runs on any Python >= 3.11 without packages. An environment that already fits is left as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEMBERS = (ROOT, *sorted((ROOT / "exporters").iterdir()), *sorted((ROOT / "instrumentors").iterdir()))
STAMP = "tickspan-environment"
TWINS_STAMP = "tickspan-twins"
OLDEST = (3, 11)


def main() -> int:
    """Make the environment named on the command line."""
    parser = argparse.ArgumentParser(description="Make an environment from a lock file.", allow_abbrev=False)
    parser.add_argument("environment", type=Path)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environment")
    options = parser.parse_args()
    if sys.version_info < OLDEST:
        print(
            f"expected Python 3.11 or newer, got {sys.version.split()[0]}: make PYTHON=python3.12 …",
            file=sys.stderr,
        )
        return 2
    stamp = options.environment / STAMP
    wanted = fingerprint(options.lock, options.python)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return compiled(options.environment)
    print(f"making {options.environment} from {options.lock.name}, once …", flush=True)
    uv = shutil.which("uv")
    install = with_uv if uv else with_pip
    try:
        install(options.environment, options.lock, options.python)
    except subprocess.CalledProcessError as error:
        print(f"environment: '{' '.join(map(str, error.cmd[:6]))} …' failed", file=sys.stderr)
        return 1
    stamp.write_text(wanted, encoding="utf-8")
    return compiled(options.environment)


def compiled(environment: Path) -> int:
    """Compile the hot modules where that can be done and has not been; without a compiler nothing is lost.

    `TICKSPAN_REQUIRE_EXT=1` makes a failed compilation an error.
    """
    stamp = environment / TWINS_STAMP
    wanted = twins_fingerprint()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return 0
    python = str(interpreter(environment).absolute())
    has_cython = subprocess.run([python, "-c", "import Cython, setuptools"], capture_output=True, check=False)
    if has_cython.returncode == 0:
        print("compiling the hot modules …", flush=True)
        for folder in members():
            if (folder / "setup.py").is_file():
                try:
                    run([python, "setup.py", "-q", "build_ext", "--inplace"], folder=folder)
                except subprocess.CalledProcessError:
                    print(f"environment: compiling {folder.name} failed", file=sys.stderr)
                    return 1
    stamp.write_text(wanted, encoding="utf-8")
    return 0


def twins_fingerprint() -> str:
    """Changes when a hot module or the way to compile it does."""
    digest = hashlib.sha256()
    for folder in members():
        if (folder / "setup.py").is_file():
            for path in (
                folder / "setup.py",
                *sorted((folder / "src").glob("*/*.py")),
                *sorted((folder / "src").glob("*/recording/*.py")),
                *sorted((folder / "src").glob("*/receiver/*.py")),
                *sorted((folder / "src").glob("*/store/*.py")),
            ):
                digest.update(path.read_bytes())
    return digest.hexdigest()


def fingerprint(lock: Path, python: str) -> str:
    """Changes when the lock, the interpreter or a distribution's metadata does."""
    digest = hashlib.sha256(python.encode())
    for path in (lock, *(member / "pyproject.toml" for member in members())):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def members() -> list[Path]:
    """The folders of our distributions, the core first."""
    return [member for member in MEMBERS if (member / "pyproject.toml").is_file()]


def with_uv(environment: Path, lock: Path, python: str) -> None:
    """Install with uv: seconds."""
    settings = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    target = ["--python", str(interpreter(environment))]
    run(["uv", "venv", "--quiet", "--clear", "--python", python, str(environment)], settings)
    run(["uv", "pip", "sync", "--quiet", "--require-hashes", *target, str(lock)], settings)
    run(
        ["uv", "pip", "install", "--quiet", "--no-deps", *target, *editables()],
        {**settings, **interpreted(lock)},
    )


def with_pip(environment: Path, lock: Path, python: str) -> None:
    """Install with pip: a minute or two. Modules are compiled when they are first imported."""
    if python == sys.executable:
        venv.create(environment, with_pip=True, clear=True)
    else:
        run([python, "-m", "venv", "--clear", str(environment)])
    pip = [str(interpreter(environment)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--no-compile", "--require-hashes", "--only-binary", ":all:", "-r", str(lock)])
    run([*pip, "--no-deps", *editables()], {**os.environ, **interpreted(lock)})


def interpreted(lock: Path) -> dict[str, str]:
    """Variables of an install that compiles nothing, where the environment itself can do so afterwards."""
    return {"TICKSPAN_PURE": "1"} if "\ncython==" in lock.read_text(encoding="utf-8") else {}


def editables() -> list[str]:
    """Options that install every distribution of the checkout in place."""
    return [word for member in members() for word in ("--editable", str(member))]


def interpreter(environment: Path) -> Path:
    """The Python of an environment."""
    return environment / "bin" / "python"


def run(words: list[str], environment: dict[str, str] | None = None, folder: Path | None = None) -> None:
    """Run a program; its output is shown, its failure raised."""
    subprocess.run(words, check=True, env=environment, cwd=folder)


if __name__ == "__main__":
    sys.exit(main())
