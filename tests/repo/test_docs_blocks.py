"""What the pages show runs: each block of code, each command line, each file."""

from __future__ import annotations

import ast
import configparser
import contextlib
import io
import json
import re
import subprocess
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final

import pytest
import sqlglot
import yaml
from packaging.requirements import Requirement

from scripts.blocks import Block, Command, blocks_of, commands_of
from tickspan.cli import main
from tickspan.cli.main import build_parser, commands
from tickspan.config import setting_keys

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted(
    {
        path.relative_to(ROOT)
        for pattern in ("*.md", "docs/**/*.md", "*/*/README.md", "collector-config/*.md", "benchmarks/*.md")
        for path in ROOT.glob(pattern)
        if not path.relative_to(ROOT).parts[0].startswith(".")
    }
)
RUN_BY: Final[Mapping[str, tuple[str, int]]] = {
    "docs/how-to/alerts-in-a-program.md": ("tests/repo/test_how_to_alerts_in_a_program.py", 1),
    "docs/how-to/alerts.md": ("tests/repo/test_how_to_alerts.py", 2),
    "docs/how-to/cache.md": ("tests/repo/test_how_to_cache.py", 1),
    "docs/how-to/high-memory.md": ("tests/repo/test_how_to_memory.py", 3),
    "docs/how-to/lazy.md": ("tests/repo/test_how_to_lazy.py", 1),
    "docs/how-to/logs.md": ("tests/repo/test_how_to_logs.py", 1),
    "docs/how-to/memory.md": ("tests/repo/test_how_to_memory.py", 2),
    "docs/how-to/metrics.md": ("tests/repo/test_how_to_metrics.py", 1),
    "docs/how-to/pools.md": ("tests/repo/test_how_to_pools.py", 1),
    "docs/how-to/profiler.md": ("tests/repo/test_how_to_profiler.py", 1),
    "docs/how-to/queries.md": ("tests/repo/test_how_to_queries.py", 4),
    "docs/how-to/sessions.md": ("tests/repo/test_how_to_sessions.py", 1),
    "docs/how-to/venue-in-100-lines.md": ("tests/repo/test_docs_venue.py", 2),
    "docs/reference/from-the-mission.md": ("tests/repo/test_from_the_mission.py", 41),
    "docs/tutorial/README.md": ("tests/e2e/test_tutorial.py", 1),
    "instrumentors/tickspan-dbapi/README.md": ("instrumentors/tickspan-dbapi/tests/test_readme.py", 1),
    "instrumentors/tickspan-sqlalchemy/README.md": (
        "instrumentors/tickspan-sqlalchemy/tests/test_readme.py",
        1,
    ),
}
"""A test of its own runs the first so many Python blocks of a page."""

BEFORE: Final[Mapping[str, str]] = {
    "docs/how-to/orders.md": """
import ccxt
from tickspan.testing.venue import VenueSimulator
venue = VenueSimulator().__enter__()
exchange = venue.connect.ccxt(ccxt.binance())
""",
    "docs/how-to/lazy.md": """
from tickspan import lazy
source = lazy.iterable([(1, 1, 1.0)])
""",
    "docs/how-to/pools.md": """
from tickspan.pools import VenueBudget, create_broker_pool, get_connection_context
class Connection:
    closed = False
    async def ping(self): pass
    async def close(self): self.closed = True
async def connect(account): return Connection()
""",
    "docs/how-to/pool-exhaustion.md": """
from tickspan.pools import create_database_pool, get_pool
create_database_pool("main_db", "sqlite:///trading.db")
""",
}
"""What a page's program has from its reader: it stands before the first block."""

SAID: Final[Mapping[str, str]] = {
    "docs/how-to/debug.md": "tickspan: preset debug: only at the start .*\n",
    "docs/how-to/presets.md": "tickspan: preset risk: only at the start .*\n",
}
"""What a page's program says on stderr, since the page is about that; all others say nothing."""

MOST_NOT_RUN: Final = 12
LOOKING: Final = ("metrics", "agent status", "agent dead list", "queries top", "queries findings")
"""Commands that only look: they run, each page's in a spool of its own."""

OUTPUT: Final = ("text", "")
"""What programs print, and pictures."""

UPSTREAM: Final = "opentelemetry-instrumentation-"
JOINTS: Final = frozenset({"&", "&&", "|", ";", "until", "do", "done"})
OTHERS: Final = frozenset(
    {".", "cd", "celery", "curl", "export", "find", "git", "go", "grep", "gunicorn", "jq", "kill", "ls"}
    | {"mkdir", "rm", "sleep", "ssh", "systemctl"}
)
"""Programs of the reader's machine, of whose options nothing is known here."""

EXTRAS: Final[Mapping[str, frozenset[str]]] = {
    project["name"]: frozenset(project.get("optional-dependencies", {}))
    for path in (ROOT / "pyproject.toml", *ROOT.glob("*/*/pyproject.toml"))
    for project in [tomllib.loads(path.read_text(encoding="utf-8"))["project"]]
}
LOCKED: Final = frozenset(
    re.findall(r"^([\w-]+)(?:\[[^]]*\])?==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
)

BLOCKS: Final = [replace(block, page=page) for page in PAGES for block in blocks_of(ROOT / page)]


def of(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def place(block: Block) -> str:
    return block.place


def test_every_block_says_a_language_that_is_looked_at() -> None:
    looked_at = {
        *OUTPUT,
        "python",
        "console",
        "sh",
        "bash",
        "toml",
        "yaml",
        "json",
        "ini",
        "sql",
        "dockerfile",
    }
    contents = ("docs/index.md", "docs/reference/api/")  # for Sphinx
    others = [block for block in BLOCKS if not str(block.page).startswith(contents)]
    assert [f"{block.place} {block.language}" for block in others if block.language not in looked_at] == []


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    left_out = [f"{block.place} {block.not_run}" for block in BLOCKS if block.not_run]
    assert len(left_out) <= MOST_NOT_RUN, "\n".join(left_out)


def test_a_page_that_is_run_elsewhere_is_named_there() -> None:
    assert [
        page for page, (test, _) in RUN_BY.items() if Path(page).name not in (ROOT / test).read_text()
    ] == []


# Python


def parts(page: Path) -> list[tuple[Block, str | None]]:
    """The Python blocks of a page that are run here, each with the output that the page shows behind it."""
    blocks = [block for block in BLOCKS if block.page == page]
    _, elsewhere = RUN_BY.get(str(page), ("", 0))
    python = [(block, behind(block, blocks)) for block in blocks if block.language == "python"]
    return [part for part in python[elsewhere:] if not part[0].not_run]


def behind(block: Block, blocks: Sequence[Block]) -> str | None:
    end = block.line + block.text.count("\n") + 1
    return next(
        (one.text for one in blocks if one.language == "text" and one.line in (end + 1, end + 2)), None
    )


RUNNER = """
import ast, asyncio, sys
code = compile(open("page.py", encoding="utf-8").read(), "page.py", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
waiting = eval(code, vars(sys.modules["__main__"]))
if waiting is not None:
    asyncio.run(waiting)
"""


@pytest.mark.integration
@pytest.mark.parametrize("page", [page for page in PAGES if parts(page)], ids=str)
def test_the_programs_of_a_page_run_in_one_process(
    page: Path, tmp_path: Path, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """A block may await at its top level, as in a notebook."""
    programs = [BEFORE.get(str(page), ""), *(block.text for block, _ in parts(page))]
    (tmp_path / "page.py").write_text("\n".join(programs), encoding="utf-8")
    ended = run_python(RUNNER)
    shown = [text for _, text in parts(page) if text is not None]
    said = re.fullmatch(SAID.get(str(page), ""), ended.stderr)
    assert (ended.returncode, said is not None) == (0, True), ended.stderr
    assert not shown or ended.stdout == "".join(shown)


@pytest.mark.parametrize("block", of("python"), ids=place)
def test_a_program_is_python(block: Block) -> None:
    compile(block.text, block.place, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


# Command lines


def test_every_command_line_is_understood() -> None:
    wrong = [
        f"{block.place} {command.line}: {problem}"
        for block in of("console", "sh", "bash")
        for command in commands_of(block)
        if (problem := problem_of(command, block))
    ]
    assert wrong == []


def problem_of(command: Command, block: Block) -> str:
    """What is wrong with a command line, which may join several commands; "" for nothing."""
    typed = command.words[: command.words.index(">")] if ">" in command.words else command.words
    joined = [list(words) for is_joint, words in groupby(typed, JOINTS.__contains__) if not is_joint]
    return " ".join(filter(None, (problem_of_one(words, block) for words in joined)))


def problem_of_one(words: Sequence[str], block: Block) -> str:
    program, *arguments = words
    if program == "tickspan":
        return problem_of_tickspan(arguments)
    check = CHECKS.get(program)
    if check is not None:
        return check(arguments)
    return "" if program in OTHERS or block.not_run else "a program that nothing here knows"


def problem_of_tickspan(arguments: Sequence[str]) -> str:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            build_parser().parse_args(arguments)
    except SystemExit as exit_:
        return said.getvalue() if exit_.code else ""
    return ""


def problem_of_pip(arguments: Sequence[str]) -> str:
    """Extras of ours are there; what is of others, a lock file or an extra names, or it is upstream's."""
    wanted = [Requirement(word) for word in arguments[1:] if not word.startswith(("-", "."))]
    known = {*LOCKED, *EXTRAS}
    unknown = [one.name for one in wanted if one.name not in known and not one.name.startswith(UPSTREAM)]
    missing = [
        f"{one.name}[{extra}]"
        for one in wanted
        for extra in one.extras
        if extra not in EXTRAS.get(one.name, ())
    ]
    return " ".join([*unknown, *missing])


def problem_of_python(arguments: Sequence[str]) -> str:
    match arguments:
        case ["-m", module, *_]:
            return "" if find_spec(module) else f"no module {module}"
        case [script, *_] if "/" in script:
            return "" if (ROOT / script).is_file() else f"no file {script}"
        case _:
            return ""


def problem_of_make(arguments: Sequence[str]) -> str:
    makefile = (ROOT / "Makefile").read_text()
    targets = [word for word in arguments if "=" not in word]
    return " ".join(word for word in targets if not re.search(rf"^{word}:", makefile, re.MULTILINE))


def problem_of_collector(arguments: Sequence[str]) -> str:
    """Files of ours are there; `extras.yaml` is the reader's own."""
    files = [value for option, value in pairwise(arguments) if option == "--config"]
    folder = ROOT / "collector-config"
    return " ".join(name for name in files if name != "extras.yaml" and not (folder / name).is_file())


def problem_of_compose(arguments: Sequence[str]) -> str:
    files = [value for option, value in pairwise(arguments) if option == "-f"]
    return " ".join(name for name in files if not (ROOT / name).is_file())


CHECKS: Final[Mapping[str, Callable[[Sequence[str]], str]]] = {
    "docker": problem_of_compose,
    "make": problem_of_make,
    "opentelemetry-instrument": problem_of_python,
    "otelcol": problem_of_collector,
    "pip": problem_of_pip,
    "python": problem_of_python,
    "python3": problem_of_python,
}


@pytest.mark.parametrize("line", LOOKING)
def test_a_command_that_only_looks_answers_where_nothing_is(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TICKSPAN_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.chdir(tmp_path)
    status = main(line.split())
    told = capsys.readouterr()
    assert (status in {0, 1, 2}, told.out + told.err != "", "Traceback" in told.err) == (True, True, False)


def test_every_verb_in_a_sentence_is_there() -> None:
    verbs = {command.name for command in commands()}
    said = {
        (str(page), verb)
        for page in PAGES
        for verb in re.findall(r"`tickspan ([a-z]+)[^`]*`", (ROOT / page).read_text(encoding="utf-8"))
    }
    assert sorted(one for one in said if one[1] not in verbs) == []


# Files

READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "toml": tomllib.loads,
    "yaml": lambda text: list(yaml.safe_load_all(text)),
    "json": json.loads,
    "ini": lambda text: configparser.ConfigParser(strict=False, interpolation=None).read_string(text),
    "sql": lambda text: sqlglot.parse(text, dialect="postgres", error_level=sqlglot.ErrorLevel.IGNORE),
}


@pytest.mark.parametrize("block", of(*READERS), ids=place)
def test_a_file_can_be_read(block: Block) -> None:
    READERS[block.language](block.text)


def test_every_setting_in_a_file_is_there() -> None:
    known = {key.name for key in setting_keys()}
    groups = {name.partition(".")[0] for name in known if "." in name}
    named = [
        (block.place, f"{group}.{key}")
        for block in of("toml")
        for group, keys in tomllib.loads(block.text).items()
        if group in groups and isinstance(keys, dict)
        for key in keys
    ]
    assert named
    assert [one for one in named if one[1] not in known] == []


def test_every_variable_that_a_page_names_is_read_by_something() -> None:
    read = {key.variable for key in setting_keys()}
    for pattern in (
        "src/**/*.py",
        "*/*/src/**/*.py",
        "collector-config/**/*.yaml",
        "scripts/**/*.py",
        "*.yml",
    ):
        for path in ROOT.glob(pattern):
            read.update(re.findall(r"TICKSPAN_[A-Z_]+", path.read_text(encoding="utf-8")))
    read.update(re.findall(r"TICKSPAN_[A-Z_]+", (ROOT / "conftest.py").read_text()))
    named = {
        (str(page), name)
        for page in PAGES
        for name in re.findall(r"TICKSPAN_[A-Z_]*[A-Z]\b", (ROOT / page).read_text(encoding="utf-8"))
    }
    assert sorted(one for one in named if one[1] not in read) == []
