"""What no source file may hold: code from data, global state of the application, names outside semconv."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tickspan.config import setting_keys

CODE_FROM_DATA_MODULES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle"}
CODE_FROM_DATA_CALLS = {"eval", "exec", "compile"}
COMPILES_LOGGING = "tee.py"
"""Compiles one method of the standard library's `logging` from its own source, if that is what runs."""
UNSAFE_YAML = {"load", "load_all", "full_load", "full_load_all", "unsafe_load", "unsafe_load_all"}

Nodes = Sequence[tuple[Path, ast.AST]]


@pytest.fixture(scope="module")
def nodes(sources: Sequence[Path]) -> Nodes:
    return [(path, node) for path in sources for node in ast.walk(ast.parse(path.read_text()))]


def at(path: Path, node: ast.AST) -> str:
    return f"{path}:{getattr(node, 'lineno', 0)}"


def imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return {node.module.partition(".")[0]}
    return set()


def called(node: ast.AST) -> str:
    """The dotted name of what is called, such as "yaml.load"; "" for what has none."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def test_nothing_that_turns_data_into_code_is_imported(nodes: Nodes) -> None:
    assert [at(path, node) for path, node in nodes if imported(node) & CODE_FROM_DATA_MODULES] == []


def test_nothing_that_turns_text_into_code_is_called(nodes: Nodes) -> None:
    calls = [(path, node) for path, node in nodes if called(node) in CODE_FROM_DATA_CALLS]
    assert [path.name for path, _ in calls] == [COMPILES_LOGGING], [at(*call) for call in calls]


def test_yaml_is_read_safely(nodes: Nodes) -> None:
    unsafe = {f"yaml.{name}" for name in UNSAFE_YAML}
    assert [at(path, node) for path, node in nodes if called(node) in unsafe] == []


def test_the_global_random_generator_is_the_applications(nodes: Nodes) -> None:
    drawn = re.compile(r"random\.(?!Random$|SystemRandom$)\w+")
    assert [at(path, node) for path, node in nodes if drawn.fullmatch(called(node))] == []


def test_our_own_databases_are_none_of_the_applications(nodes: Nodes) -> None:
    """A plain `sqlite3.connect` may be an instrumented one: with `factory` it makes what is asked for."""
    connects = [(path, node) for path, node in nodes if called(node) == "sqlite3.connect"]
    plain = [
        at(path, node)
        for path, node in connects
        if isinstance(node, ast.Call) and "factory" not in {keyword.arg for keyword in node.keywords}
    ]
    assert plain == []


def test_the_root_logger_is_the_applications(nodes: Nodes) -> None:
    spoken = re.compile(
        r"logging\.(basicConfig|debug|info|warning|error|exception|critical|getLogger\(\)\..*)"
    )
    assert [at(path, node) for path, node in nodes if spoken.fullmatch(called(node))] == []


def vocabulary(root: Path) -> dict[str, str]:
    """Each name of `semconv`, with the constant that holds it."""
    return {
        value: f"{path.stem}.{target}"
        for path in sorted((root / "src/tickspan/semconv").glob("*.py"))
        for target, value in constants(path)
        if "." in value
    }


def constants(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(text))):
                yield name, text
            case _:
                pass


def is_vocabulary(path: Path) -> bool:
    """The core's packages of names, and the one module of the distribution below the core."""
    return "semconv" in path.parts or path.stem == "semconv"


def test_no_attribute_name_is_a_literal_outside_semconv(root: Path, nodes: Nodes) -> None:
    known = vocabulary(root)
    literal = [
        f"{at(path, node)} {node.value!r} is {known[node.value]}"
        for path, node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in known
        if not is_vocabulary(path)
    ]
    assert literal == []


def test_no_name_of_a_covered_namespace_is_a_literal_outside_semconv(nodes: Nodes) -> None:
    namespace = re.compile(r"(trading|db|exception|server|network|error|messaging|http|cpython)(\.[a-z_]+)+")
    settings = {key.name for key in setting_keys()}
    literal = [
        f"{at(path, node)} {node.value!r}"
        for path, node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and namespace.fullmatch(node.value)
        if not is_vocabulary(path) and node.value not in settings
    ]
    assert literal == []


def test_no_name_stands_twice_in_semconv(root: Path) -> None:
    values = [value for path in (root / "src/tickspan/semconv").glob("*.py") for _, value in constants(path)]
    assert sorted(value for value in set(values) if values.count(value) > 1) == []
