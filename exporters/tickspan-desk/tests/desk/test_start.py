"""What a desk loads before its first page: nothing that takes long and is not needed for it."""

import subprocess
import sys

from tickspan_desk.store import ordering

from tickspan.trading.model import OrderStatus

_HEAVY = ("sqlglot", "opentelemetry.sdk", "opentelemetry.instrumentation", "grpc", "rich", "numpy")
_PROGRAM = """
import sys
import tickspan_desk.desk
from tickspan_desk.web.pages import pages
pages()
print(*sorted(name for name in sys.modules if name in sys.argv[1:]))
"""


def test_a_desk_loads_no_parser_no_sdk_and_no_instrumentor():
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *_HEAVY], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.split() == []


def test_the_command_line_loads_no_desk_before_it_is_asked_for():
    program = "import sys, tickspan_desk.command; print('uvicorn' in sys.modules, 'sqlite3' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout == "False False\n"


def test_the_store_knows_which_orders_are_over():
    assert {status.value for status in OrderStatus if status.is_terminal} == ordering._OVER
