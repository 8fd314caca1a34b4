"""How the collector is built, without building it: that takes minutes, and the other tests use the result."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from scripts.collector_build import MANIFEST, VERSION, CollectorBuildError, build_collector, is_built


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


def test_without_go_the_build_says_so(tmp_path: Path):
    with pytest.raises(CollectorBuildError, match="there is no `go` in PATH"):
        build_collector(tmp_path, {"PATH": "/nowhere"})


def test_a_build_that_fails_shows_the_end_of_its_log_and_leaves_nothing(tmp_path: Path):
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho no network\nexit 1\n")
    go.chmod(0o755)
    cache = tmp_path / "cache"
    with pytest.raises(CollectorBuildError, match=r"(?s)could not be generated:\nno network"):
        build_collector(cache, {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert [path.name for path in cache.iterdir()] == ["build.log"]
    assert not is_built(cache)


def test_a_build_takes_its_place_whole_and_only_for_its_own_manifest(tmp_path: Path):
    go = tmp_path / "go"
    go.write_text(
        "#!/bin/sh\nmkdir -p _build; touch _build/go.mod _build/go.sum; echo $GOTOOLCHAIN > otelcol\n"
    )
    go.chmod(0o755)
    built = build_collector(tmp_path / "cache", {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert built.read_text() == "local\n"
    assert is_built(tmp_path / "cache")
    (tmp_path / "cache" / "manifest.yaml").write_text("another")
    assert not is_built(tmp_path / "cache")
