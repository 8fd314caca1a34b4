"""How back ends are built, without building one: that takes minutes, and the other tests use the result."""

from pathlib import Path

import pytest

from scripts.go_build import GoBuild, GoBuildError, from_module

RECORDING_GO = """#!/bin/sh
head -1 go.mod > {name}
echo "$GOTOOLCHAIN $CGO_ENABLED $*" >> {name}
"""


@pytest.fixture
def build() -> GoBuild:
    return from_module("prometheus", "3.16.0", "example.com/cmd/promtool", tags="remove_all_sd")


def path_with_go(folder: Path, script: str) -> dict[str, str]:
    go = folder / "go"
    go.write_text(script)
    go.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def test_without_go_the_build_says_so(build: GoBuild, tmp_path: Path):
    with pytest.raises(GoBuildError, match="promtool cannot be built: there is no `go` in PATH"):
        build.build(tmp_path, {"PATH": "/nowhere"})


def test_a_build_that_fails_shows_the_end_of_its_log_and_leaves_nothing(build: GoBuild, tmp_path: Path):
    environment = path_with_go(tmp_path, "#!/bin/sh\necho no network\nexit 1\n")
    cache = tmp_path / "cache"
    with pytest.raises(GoBuildError, match=r"(?s)promtool could not be compiled:\nno network"):
        build.build(cache, environment)
    assert [path.name for path in cache.iterdir()] == ["build.log"]
    assert not build.is_built(cache)


def test_a_build_takes_its_place_whole_and_only_for_its_own_recipe(build: GoBuild, tmp_path: Path):
    environment = path_with_go(tmp_path, RECORDING_GO.format(name="promtool"))
    cache = tmp_path / "cache"
    build.build(cache, environment)
    flags = "-ldflags=-s -w -X github.com/prometheus/common/version.Version=3.16.0 -tags remove_all_sd"
    assert (cache / "promtool").read_text() == (
        "module prometheus-tools\n"
        f"local 0 build -trimpath -mod=mod {flags} -o promtool example.com/cmd/promtool\n"
    )
    assert sorted(path.name for path in cache.iterdir()) == ["build.log", "prometheus.mod", "promtool"]
    assert build.is_built(cache)
    (cache / "prometheus.mod").write_text("another")
    assert not build.is_built(cache)
