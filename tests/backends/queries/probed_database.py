"""A database that probes are tried on: the statements of `never.sql`, and what they need to do harm."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.servers import DatabaseServer
from tickspan.analysis.sql import Dialect

NEVER_FILE: Final = Path(__file__).parents[2] / "unit/analysis/plans/never.sql"
_ENTRY: Final = re.compile(
    r"^-- (?P<dialect>postgresql|mysql|sqlite): (?P<reason>.*)\n(?P<sql>.*)$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Never:
    """A statement that is refused, and the reason; a `*` at its end stands for any rest."""

    dialect: Dialect
    reason: str
    sql: str


def never(dialect: Dialect) -> list[Never]:
    """All of one dialect."""
    text = NEVER_FILE.read_text(encoding="utf-8")
    return [
        Never(dialect, entry["reason"], entry["sql"])
        for entry in _ENTRY.finditer(text)
        if entry["dialect"] == dialect
    ]


@dataclass(frozen=True, slots=True)
class Probed:
    """A PostgreSQL database; `prober` is the account whose statements the server logs."""

    server: DatabaseServer
    database: str

    def url(self, user: str) -> str:
        """To connect as one of its accounts."""
        return f"postgresql://{user}@{self.server.host}:{self.server.port}/{self.database}"


POSTGRESQL_SCHEMA: Final = """
CREATE TABLE orders (id bigint PRIMARY KEY, symbol text, price numeric, note text, placed_at timestamptz);
INSERT INTO orders SELECT i, 'S' || i % 50, i, 'n', now() FROM generate_series(1, 2000) i;
CREATE TABLE fills (order_id bigint, price numeric);
CREATE TYPE side AS ENUM ('buy', 'sell');
CREATE TABLE audit (id bigserial, note text);
CREATE FUNCTION acting(what text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
  BEGIN INSERT INTO audit (note) VALUES (what); RETURN what; END $$;
CREATE FUNCTION quote_ident(a int, b int) RETURNS text LANGUAGE sql IMMUTABLE
  AS $$ SELECT acting('overload') $$;
CREATE VIEW acting_view AS SELECT acting('view') AS note FROM orders;
CREATE VIEW view_of_acting_view AS SELECT note FROM acting_view;
CREATE VIEW good_view AS SELECT symbol, max(price) AS best FROM orders GROUP BY symbol;
CREATE TABLE secured (id int);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE DOMAIN checked AS text CHECK (acting(VALUE) IS NOT NULL);
ANALYZE orders;
"""

MARIADB_SCHEMA: Final = """
CREATE TABLE orders (id BIGINT PRIMARY KEY, symbol VARCHAR(20), price DECIMAL(18,8), placed_at DATETIME,
                     KEY orders_symbol (symbol), KEY orders_placed (placed_at));
INSERT INTO orders SELECT seq, CONCAT('S', seq % 50), seq, '2026-01-01' + INTERVAL seq MINUTE
                   FROM seq_1_to_5000;
CREATE TABLE fills (order_id BIGINT, price DECIMAL(18,8));
CREATE TABLE audit (note TEXT);
CREATE FUNCTION acting(what TEXT) RETURNS TEXT DETERMINISTIC MODIFIES SQL DATA
BEGIN INSERT INTO audit VALUES (what)| RETURN what| END;
CREATE VIEW acting_view AS SELECT acting('view') AS note FROM orders;
CREATE VIEW good_view AS SELECT symbol, max(price) AS best FROM orders GROUP BY symbol;
CREATE SEQUENCE numbers;
ANALYZE TABLE orders, fills PERSISTENT FOR ALL
"""
"""Statements end with `;` at the end of a line; a `|` stands for one inside of a body."""
