"""The documentation is built without a warning, and without the network."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from sphinx.util.inventory import InventoryFile

import tickspan
from scripts.docs import PUBLIC_MODULES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(420)]

NO_NETWORK: Final = "import socket; socket.socket.connect = lambda *_: exit('the build asks the network'); "
PAGES: Final = ("docs/index", "docs/how-to/orders", "docs/tutorial/README", "README", "docs/decisions/README")


@pytest.fixture(scope="module")
def built(root: Path, clean_environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built documentation."""
    folder = tmp_path_factory.mktemp("docs")
    program = f"{NO_NETWORK}from scripts.docs import main; raise SystemExit(main([{str(folder)!r}]))"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env={**clean_environment, "PYTHONPATH": os.fspath(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert (ended.stderr.splitlines(), ended.returncode) == ([], 0)
    return folder


def test_it_is_built_without_a_warning(built: Path) -> None:
    assert [page for page in PAGES if not (built / f"{page}.html").is_file()] == []
    assert 'url=docs/index.html"' in (built / "index.html").read_text(encoding="utf-8")


def test_every_public_name_has_a_place_in_it(built: Path) -> None:
    inventory = InventoryFile.loads((built / "objects.inv").read_bytes(), uri="")
    listed = {name for kind, names in inventory.data.items() if kind.startswith("py:") for name in names}
    public = {
        f"{module}.{name}" for module in PUBLIC_MODULES for name in importlib.import_module(module).__all__
    }
    from_others = {f"tickspan.{name}" for name in tickspan.__all__}
    assert sorted(public - from_others - listed) == []


def test_a_page_lists_each_name_of_the_facade_with_its_home(built: Path) -> None:
    page = (built / "docs/reference/api/tickspan.html").read_text(encoding="utf-8")
    assert [name for name in tickspan.__all__ if f">{name}<" not in page] == []
