"""What the collector is made of."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from scripts.collector_build import COLLECTOR, MANIFEST, VERSION
from scripts.go_build import GoBuildError


def test_every_component_of_the_manifest_is_of_the_same_release():
    manifest = yaml.safe_load(MANIFEST.read_text())
    modules = {
        kind: {entry["gomod"].rpartition(" ")[2] for entry in entries}
        for kind, entries in manifest.items()
        if kind != "dist"
    }
    components = ("receivers", "processors", "exporters", "connectors", "extensions")
    assert modules == {**{key: {f"v{VERSION}"} for key in components}, "providers": {"v1.64.0"}}
    assert (manifest["dist"]["version"], manifest["dist"]["output_path"]) == (VERSION, "./_build")


@pytest.mark.backends
def test_the_built_collector_holds_the_components_of_the_manifest(otelcol: Path):
    manifest = yaml.safe_load(MANIFEST.read_text())
    listing = subprocess.run([otelcol, "components"], capture_output=True, text=True, check=True).stdout
    built = set(re.findall(r"module: (\S+ v\S+)", listing))
    wanted = {entry["gomod"] for kind, entries in manifest.items() if kind != "dist" for entry in entries}
    assert wanted - built == set()


def test_a_generator_that_fails_shows_the_end_of_its_log(tmp_path: Path):
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho no network\nexit 1\n")
    go.chmod(0o755)
    with pytest.raises(GoBuildError, match=r"(?s)could not be generated:\nno network"):
        COLLECTOR.build(tmp_path / "cache", {"PATH": f"{tmp_path}:/usr/bin:/bin"})
