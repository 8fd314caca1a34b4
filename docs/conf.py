"""How Sphinx builds the documentation: `make docs`.

The source folder is the root of the repository, so that a link means the same here and in the bare files:
README, the pages below `docs` and the READMEs of the members link to one another by relative paths.
"""
# ruff: noqa: INP001 - Sphinx reads this file, nothing imports it

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from enum import Enum
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from docutils import nodes
from pygments.lexer import inherit
from pygments.lexers import PostgresLexer
from pygments.token import Text
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # pages of the API are made of what is in this checkout

from scripts.docs import PUBLIC_MODULES  # noqa: E402 - the line above finds it

project = "tickspan"
copyright = "The tickspan authors"  # noqa: A001 - the name that Sphinx reads
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
root_doc = "docs/index"
include_patterns = [
    "*.md",
    "docs/*.md",
    "docs/**/*.md",
    "benchmarks/*.md",
    "benchmarks/**/*.md",
    "collector-config/*.md",
    "examples/*.md",
    "exporters/*/README.md",
    "instrumentors/*/README.md",
]
exclude_patterns = [".*", "build", "node_modules"]
nitpicky = True
suppress_warnings = ["config.cache"]  # functions below are compared by nothing

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "groupwise"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 100
add_module_names = False
napoleon_use_ivar = True  # a field that a class's docstring tells is told once

html_theme = "furo"
html_title = "tickspan"
html_show_sphinx = False
html_copy_source = False


class Statements(PostgresLexer):  # pyright: ignore[reportUntypedBaseClass] - Pygments has no types
    """SQL with `$1`, and `…` where something was left out."""

    tokens: ClassVar[dict[str, list[Any]]] = {"root": [("…", Text), inherit]}


def lead_folders_to_readmes(app: Sphinx, page: nodes.document) -> None:
    """A link to a folder leads to its README, or says only its text where there is none."""
    for link in list(page.findall(addnodes.pending_xref)):
        target = link["reftarget"] if link.get("reftype") == "myst" else ""
        folder = ROOT / Path(app.env.docname).parent / target
        if not target or not folder.is_dir():
            continue
        readme = (folder.resolve() / "README").relative_to(ROOT).as_posix()
        if readme in app.env.found_docs:
            link["refdomain"], link["reftarget"], link["reftargetid"] = "doc", readme, None
        else:
            link.replace_self(link.children)


def documented_names() -> Iterator[tuple[str, str]]:
    """Where an object was defined, and the public name by which its page tells of it."""
    for module_name in PUBLIC_MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            defined = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"
            yield defined, f"{module_name}.{name}"


def resolve_defined(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.TextElement
) -> nodes.Node | None:
    """A type in a signature leads to the page of its public name; without a page it is told by its name."""
    is_promised = node.get("reftype") == "obj" and node["reftarget"].rpartition(".")[0] in PUBLIC_MODULES
    if node.get("refdomain") != "py" or is_promised:
        return None
    names: dict[str, str] = app.config._documented  # noqa: SLF001 - made in `setup`
    objects = env.domains.python_domain.objects
    public = names.get(node["reftarget"])
    if public is None or public not in objects:
        return content
    found = objects[public]
    refuri = app.builder.get_relative_uri(node["refdoc"], found.docname) + f"#{found.node_id}"
    return nodes.reference("", "", content, internal=True, refuri=refuri)


def list_public_names(_app: Sphinx, page: str, text: list[str]) -> None:
    """Below what a page of the API says, every name in `__all__` of its module."""
    folder, _, module = page.rpartition("/")
    if folder == "docs/reference/api" and module in PUBLIC_MODULES:
        told = "\n".join(
            f".. automodule:: {module}\n" if not name else _told(module, name) for name in _names(module)
        )
        text[0] += f"\n```{{eval-rst}}\n{told}\n```\n"


def _names(module: str) -> list[str]:
    """First the module itself, as "", then its names: what it defines, then what it has from others."""
    names = importlib.import_module(module).__all__
    return ["", *sorted(names, key=lambda name: (_home(module, name) is not None, name))]


def _home(module: str, name: str) -> str | None:
    """The public package below this one whose page tells what a name is; None where this page does."""
    value = getattr(importlib.import_module(module), name)
    below = [other for other in PUBLIC_MODULES if other.startswith(f"{module}.")]
    return next(
        (other for other in below if getattr(importlib.import_module(other), name, None) is value), None
    )


def _told(module: str, name: str) -> str:
    value = getattr(importlib.import_module(module), name)
    home = _home(module, name)
    if isinstance(value, ModuleType) and value.__name__ not in PUBLIC_MODULES:
        return f".. automodule:: {value.__name__}\n   :members:\n"
    if isinstance(value, ModuleType):
        return f"``{name}``: the toolbox :doc:`{value.__name__}`\n"
    if home is not None:
        return f"``{name}``: :py:obj:`{home}.{name}`\n"
    if name == "__version__":
        return f".. py:data:: {module}.{name}\n   :type: str\n"
    if isinstance(value, type):
        kind = "exception" if issubclass(value, BaseException) else "class"
        values = "   :undoc-members:\n" if issubclass(value, Enum) else ""
        return f".. auto{kind}:: {module}.{name}\n   :members:\n{values}"
    return f".. auto{'function' if inspect.isroutine(value) else 'data'}:: {module}.{name}\n"


CODE = re.compile(r"(?<!`)`([^`\n]+)`(?=(\w)?)(?!`)")
FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


def as_rest(_app: Sphinx, what: str, name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Docstrings are Markdown with Google's sections: backticks and fences become what autodoc reads.

    A constant or a type that a package takes from a module of its own has its docstring there.
    """
    if what == "data":
        lines[:] = _behind_its_definition(*name.rpartition(".")[::2])
    text = FENCE.sub(_code_block, "\n".join(lines))
    lines[:] = CODE.sub(lambda found: f"``{found[1]}``" + ("\\ " if found[2] else ""), text).split("\n")


def _behind_its_definition(module: str, name: str) -> list[str]:
    source = ModuleAnalyzer.for_module(module)
    for node in ast.walk(ast.parse(source.code)):
        if isinstance(node, ast.ImportFrom) and node.module and name in {alias.name for alias in node.names}:
            return _behind_its_definition(resolve_name("." * node.level + node.module, module), name)
    return list(source.find_attr_docs().get(("", name), []))


def _code_block(found: re.Match[str]) -> str:
    indent, language, code = found.groups()
    return f"{indent}.. code-block:: {language}\n\n{textwrap.indent(code, '    ')}"


def setup(app: Sphinx) -> None:
    """Add the lexer, the readers of links and docstrings, and the resolver."""
    app.add_lexer("sql", Statements)
    app.config._documented = dict(documented_names())  # noqa: SLF001
    app.connect("source-read", list_public_names)
    app.connect("doctree-read", lead_folders_to_readmes)
    app.connect("missing-reference", resolve_defined)
    app.connect("autodoc-process-docstring", as_rest, priority=400)  # before Google's sections are read
