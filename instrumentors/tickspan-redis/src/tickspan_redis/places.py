"""Where a client's calls go, as it was configured: read once for each pool, cluster or pipeline's owner."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any, Final

from tickspan.instrumentation import AttributeValue, Operation
from tickspan.instrumentation.operation import Repetition
from tickspan.semconv.common import SERVER_ADDRESS, SERVER_PORT
from tickspan.semconv.db import DB_NAMESPACE, DB_SYSTEM_NAME
from tickspan.semconv.redis import SYSTEM_REDIS

_DEFAULT_PORT: Final = 6379


MOST_OPERATIONS: Final = 512


class Place:
    """System, database index and server; equal only to itself, so that it can stand for them as a key."""

    __slots__ = ("attributes", "operations")

    def __init__(self, attributes: Mapping[str, AttributeValue]) -> None:
        self.attributes = attributes
        self.operations: dict[Hashable, Operation] = {}
        """What calls here were told as, by verbs and numbers of arguments: most come again and again."""

    def __repr__(self) -> str:
        return f"<Place {self.attributes.get(SERVER_ADDRESS)}:{self.attributes.get(SERVER_PORT)}>"

    def remember(self, shape: Hashable, operation: Operation) -> Operation:
        """Keep how a call of a shape is told; all is forgotten when it is too much."""
        if len(self.operations) >= MOST_OPERATIONS:
            self.operations.clear()
        kept = self.operations[shape] = replace(operation, repetition=Repetition())
        return kept


_PLACE: Final = "_tickspan_redis_place"
"""Where it is noted: in the pool, or the cluster's client."""


def place_of(client: Any) -> Place:
    """Of a client, pipeline or cluster."""
    pool = getattr(client, "connection_pool", None)
    owner = client_of(client) if pool is None else pool
    notes = getattr(owner, "__dict__", None)
    if notes is None:  # a stand-in for a client, in which nothing can be noted
        return Place(_attributes(pool, owner))
    known = notes.get(_PLACE)
    if known is None:
        known = notes[_PLACE] = Place(_attributes(pool, owner))
    return known


def client_of(pipeline: Any) -> Any:
    """The cluster client behind a pipeline; the client itself where it is none."""
    for name in ("cluster_client", "_client"):
        client = getattr(pipeline, name, None)
        if client is not None:
            return client
    return pipeline


def where(client: Any) -> Mapping[str, AttributeValue]:
    """Attributes of `place_of`.

    Behind a sentinel the server is not known before the connection is: it is told as the peer then.
    """
    return place_of(client).attributes


def _attributes(pool: Any, owner: Any) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {DB_SYSTEM_NAME: SYSTEM_REDIS}
    if pool is not None:
        return attributes | _configured(pool, getattr(pool, "connection_kwargs", {}))
    node = next(iter(getattr(getattr(owner, "nodes_manager", None), "startup_nodes", {}).values()), None)
    attributes[DB_NAMESPACE] = "0"  # a cluster has no other
    return attributes if node is None else attributes | _server(node.host, node.port)


def _configured(pool: Any, settings: Mapping[str, Any]) -> dict[str, AttributeValue]:
    namespace: dict[str, AttributeValue] = {DB_NAMESPACE: str(settings.get("db") or 0)}
    if "path" in settings:
        return namespace | {SERVER_ADDRESS: str(settings["path"])}
    if hasattr(pool, "service_name"):
        return namespace
    return namespace | _server(settings.get("host", "localhost"), settings.get("port", _DEFAULT_PORT))


def _server(host: Any, port: Any) -> dict[str, AttributeValue]:
    return {SERVER_ADDRESS: str(host), SERVER_PORT: int(port)}
