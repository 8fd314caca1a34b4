"""Which database statements go to, in the words of the database conventions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from tickspan.instrumentation.operation import Attributes
from tickspan.recording import AttributeValue
from tickspan.semconv.common import SERVER_ADDRESS, SERVER_PORT
from tickspan.semconv.db import DB_NAMESPACE, DB_SYSTEM_NAME


@dataclass(frozen=True, slots=True)
class Database:
    """Where statements go."""

    system: str
    """A `db.system.name`: postgresql, mysql, mariadb, sqlite, …"""
    namespace: str | None = None
    address: str | None = None
    port: int | None = None

    @staticmethod
    def on_server(system: str, namespace: str | None, address: str | None, port: int | None) -> Database:
        """One behind a server. A folder as `address` is where PostgreSQL keeps its Unix socket."""
        if address and address.startswith("/"):
            is_folder = system == "postgresql" and "/.s.PGSQL." not in address
            socket = f"{address.rstrip('/')}/.s.PGSQL.{port or 5432}" if is_folder else address
            return Database(system, namespace or None, socket)
        return Database(system, namespace or None, address or None, port)

    @staticmethod
    def in_file(path: str | None) -> Database:
        """One of SQLite, known by its file without the folders: paths name users and machines."""
        bare = (path or "").removeprefix("file:").partition("?")[0]
        return Database("sqlite", PurePath(bare).name or None)

    @property
    def place(self) -> str:
        """`host:port/database`, as far as it is known; the system where nothing is."""
        host = self.address or ""
        server = f"{host}:{self.port}" if host and self.port else host
        return "/".join(part for part in (server, self.namespace) if part) or self.system

    def attributes(self) -> Attributes:
        """What every operation on this database carries."""
        known: dict[str, AttributeValue | None] = {
            DB_SYSTEM_NAME: self.system,
            DB_NAMESPACE: self.namespace,
            SERVER_ADDRESS: self.address,
            SERVER_PORT: self.port,
        }
        return {name: value for name, value in known.items() if value is not None}
