"""What the nodes of asynchronous cluster clients say of themselves, which have no pools."""

from __future__ import annotations

from typing import Any
from weakref import ref

from tickspan.instrumentation.pooling import PoolCounts


def counts_of_node(node: Any) -> PoolCounts:
    """Of a node of an asynchronous cluster client, which keeps its connections itself."""
    made, idle = len(node._connections), len(node._free)  # noqa: SLF001 - there is no other way to ask
    return PoolCounts(used=max(0, made - idle), idle=idle, max=node.max_connections)


class NodePool:
    """A node of an asynchronous cluster client, as a pool: it lives as long as the client has it."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = ref(client)  # who keeps us, weakly keyed by the client
        self._name = name

    def __repr__(self) -> str:
        return f"<NodePool {self._name}>"

    def counts(self) -> PoolCounts:
        """As `counts_of_node`, of whatever node has the name now."""
        client = self._client()
        node = None if client is None else client.nodes_manager.nodes_cache.get(self._name)
        return PoolCounts() if node is None else counts_of_node(node)
