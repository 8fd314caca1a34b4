"""An environment of peers, made once from a list of requirements; what is missing has a reason."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
HOME: Final = ROOT / ".venv-bench"
REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")
_STAMP: Final = "pipeline-peers.json"


@dataclass(frozen=True, slots=True)
class Peers:
    """An environment, and what is missing in it."""

    home: Path
    missing: Mapping[str, str]
    """Why a requirement could not be installed, by distribution."""
    requirements: Path = REQUIREMENTS
    """What it was made from."""

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.home / "bin" / "python")

    def versions(self) -> dict[str, str]:
        """Of the distributions that were asked for and are there."""
        return {
            name: pinned
            for name, pinned in _pins(self.requirements.read_text()).items()
            if name not in self.missing
        }


def ready(requirements: Path = REQUIREMENTS, home: Path = HOME) -> Peers:
    """The environment, made if it is not there or was made for other requirements.

    Args:
        requirements: a file of lines `name==version`.
        home: the folder of the environment, which belongs to these requirements alone.
    """
    text = requirements.read_text()
    wanted = sha256(f"{sys.version}\n{text}".encode()).hexdigest()
    stamp = home / _STAMP
    said: dict[str, Any] = json.loads(stamp.read_text()) if stamp.is_file() else {}
    if said.get("wanted") != wanted:
        print(f"making {home.name} from {requirements.name}, once …", file=sys.stderr, flush=True)
        said = {
            "wanted": wanted,
            "missing": _made(home, [f"{name}=={pin}" for name, pin in _pins(text).items()]),
        }
        stamp.write_text(json.dumps(said))
    return Peers(home, said["missing"], requirements)


def _pins(text: str) -> dict[str, str]:
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    pairs = (line.split("==") for line in lines if line)
    return dict(pairs)  # pyright: ignore[reportArgumentType] - each line is `name==version`


def _made(home: Path, requirements: list[str]) -> dict[str, str]:
    """Install all at once; when that fails, one by one, so that one missing peer takes no other along."""
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, with_pip=True)
    if _installed(home, requirements) is None:
        return {}
    reasons = {requirement: _installed(home, [requirement]) for requirement in requirements}
    return {requirement.partition("==")[0]: reason for requirement, reason in reasons.items() if reason}


def _installed(home: Path, requirements: list[str]) -> str | None:
    """None, or the last line of what `pip` said."""
    pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *requirements], check=False, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    return next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "pip failed")
