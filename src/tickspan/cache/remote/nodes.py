"""The two kinds of Redis as a link talks to them: one primary, or a cluster; blocking and on event loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any, Protocol

from tickspan.cache.remote.libraries import (
    async_cluster,
    connections,
    credentials,
    errors,
    pack,
    pool_arguments,
    redis,
    sentinels,
)
from tickspan.cache.remote.lines import Lines
from tickspan.cache.remote.loops import PerLoop
from tickspan.cache.remote.mux import Mux
from tickspan.cache.remote.replies import is_about_us
from tickspan.cache.remote.settings import Place, RemoteSettings, connection_arguments
from tickspan.cache.remote.wire import abandon
from tickspan.instrumentation.suppression import suppressed

__all__ = ["Cluster", "Command", "Nodes", "Primary"]


Command = tuple[Any, ...]
"""A verb and its arguments."""


class Nodes(Protocol):
    """Where a link sends commands. Replies are as the server sends them; its errors stand in their places."""

    def ask(self, commands: Sequence[Command], node: Any = None, /) -> list[Any]:
        """Send all and wait for all replies; a broken connection raises."""
        ...

    async def ask_async(self, commands: Sequence[Command], node: Any = None, /) -> list[Any]:
        """As `ask`, for the running loop."""
        ...

    def primaries(self) -> list[Any]:
        """What `ask` takes as a node, for each primary."""
        ...

    async def primaries_async(self) -> list[Any]:
        """What `ask_async` takes as a node, for each primary."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...

    async def aclose(self) -> None:
        """Give everything back, this loop's at once."""
        ...


class Primary:
    """One primary: lines for blocking callers, a mux for event loops.

    Both are below what instrumentation of redis-py wraps: reads of the cache make no spans, and its
    connections are of no pool that is measured.
    """

    def __init__(self, settings: RemoteSettings) -> None:
        self._settings = settings
        self.mux = Mux(settings)
        self._pool: Any = _pool(settings)
        """How connections are made, which it would also know for sentinels; it holds none."""
        self._lines = Lines(self._connected, settings.max_connections)
        self._has_sentinels = settings.place().service is not None
        self._address: tuple[Any, Any] | None = None
        """Of the primary that the sentinels named last."""

    def __repr__(self) -> str:
        return f"<Primary {self._settings.place()}>"

    def ask(self, commands: Sequence[Command], node: Any = None, /) -> list[Any]:
        """Send all in one write and wait for all replies."""
        del node
        packed = pack(commands[0]) if len(commands) == 1 else b"".join(map(pack, commands))
        return self._lines.ask(packed, len(commands))

    async def ask_async(self, commands: Sequence[Command], node: Any = None, /) -> list[Any]:
        """Send all with whatever else this loop's turn has to send."""
        del node
        call = self.mux.call
        if len(commands) == 1:
            try:
                return [await call(*commands[0])]
            except errors.ResponseError as error:
                replies: list[Any] = [error]
        else:
            replies = await asyncio.gather(*[call(*each) for each in commands], return_exceptions=True)
        for reply in replies:
            if isinstance(reply, errors.ReadOnlyError):
                self.mux.reconnect()
            elif isinstance(reply, BaseException) and not isinstance(reply, errors.ResponseError):
                raise reply
        return replies

    def primaries(self) -> list[Any]:
        """One."""
        return [None]

    async def primaries_async(self) -> list[Any]:
        """One."""
        return [None]

    def close(self) -> None:
        """Close the lines and the mux's connections."""
        self.mux.close()
        self._lines.close()

    async def aclose(self) -> None:
        """Close the lines and the mux's connections."""
        await self.mux.aclose()
        self._lines.close()

    def _connected(self) -> Any:
        """A connection that is greeted: without RESP3 where the server does not know it."""
        try:
            return self._greeted()
        except errors.ResponseError as error:
            if is_about_us(error):
                raise
            if not _knows_no_resp3(error) or self._pool.connection_kwargs.get("protocol") != 3:  # noqa: PLR2004 - RESP3
                raise errors.ConnectionError(str(error)) from error
        # A server before Redis 6, or one that hides HELLO.
        self._pool.connection_kwargs["protocol"] = 2
        return self._greeted()

    def _greeted(self) -> Any:
        connection = self._pool.connection_class(**self._pool.connection_kwargs)
        try:
            if self._has_sentinels:
                with suppressed():  # they are asked through a client that may be instrumented
                    connection.connect()
                self._found(connection.host, connection.port)
            else:
                connection.connect()
        except BaseException:
            connection.disconnect()
            raise
        return connection

    def _found(self, host: Any, port: Any) -> None:
        before, self._address = self._address, (host, port)
        if before not in {None, self._address}:
            self._lines.renounce()


class Cluster:
    """A cluster through redis-py's cluster clients, which keep silent to instrumentation.

    Their replies are redis-py's: a SET is True. They follow redirections, and read the topology when it has
    changed, which may take longer than an operation may.
    """

    def __init__(self, settings: RemoteSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: Any = None
        self._clients: PerLoop[_ClusterOfLoop] = PerLoop(lambda _: _ClusterOfLoop(settings))

    def __repr__(self) -> str:
        return f"<Cluster {self._settings.place()}>"

    def ask(self, commands: Sequence[Command], node: Any = None, /) -> list[Any]:
        """Send each to the node of its key, or all to one node."""
        with suppressed():
            client = self._connected()
            if node is not None or len(commands) == 1:
                options = {} if node is None else {"target_nodes": node}
                return [_reply(client, command, options) for command in commands]
            pipeline = client.pipeline()
            for command in commands:
                pipeline.execute_command(*command)
            return list(pipeline.execute(raise_on_error=False))

    async def ask_async(self, commands: Sequence[Command], node: Any = None, /) -> list[Any]:
        """Send each to the node of its key, or all to one node."""
        with suppressed():
            client = self._clients.here().client
            limit_s = self._settings.connect_timeout_s + self._settings.timeout_s
            async with asyncio.timeout(limit_s):
                if node is not None or len(commands) == 1:
                    options = {} if node is None else {"target_nodes": node}
                    return [await _reply_async(client, command, options) for command in commands]
                pipeline = client.pipeline()
                for command in commands:
                    pipeline.execute_command(*command)
                return list(await pipeline.execute(raise_on_error=False))

    def primaries(self) -> list[Any]:
        """All primaries."""
        with suppressed():
            return list(self._connected().get_primaries())

    async def primaries_async(self) -> list[Any]:
        """All primaries."""
        with suppressed():
            client = self._clients.here().client
            await client.initialize()
            return list(client.get_primaries())

    def close(self) -> None:
        """Close all clients."""
        self._clients.close()
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    async def aclose(self) -> None:
        """Close all clients."""
        self.close()
        await self._clients.aclose()

    def _connected(self) -> Any:
        client = self._client
        if client is not None:
            return client
        with self._lock:
            if self._client is None:
                self._client = redis.RedisCluster(**_cluster_arguments(self._settings))
            return self._client


class _ClusterOfLoop:
    """The cluster client of one event loop."""

    def __init__(self, settings: RemoteSettings) -> None:
        arguments = _cluster_arguments(settings)
        if "maint_notifications_config" not in signature(async_cluster.RedisCluster.__init__).parameters:
            arguments.pop("maint_notifications_config", None)  # redis-py 7 has it for blocking clients only
        self.client: Any = async_cluster.RedisCluster(**arguments)

    def leave(self) -> None:
        """Close it; its connections are closed at once, as nobody can wait here."""
        self._drop(_close)

    def abandon(self) -> None:
        """Drop its connections."""
        self._drop(abandon)

    def _drop(self, close: Callable[[Any], None]) -> None:
        manager = self.client.nodes_manager
        for node in (*manager.nodes_cache.values(), *manager.startup_nodes.values()):
            for connection in getattr(node, "_connections", ()):
                writer = getattr(connection, "_writer", None)
                if writer is not None:
                    close(writer.transport)
                    connection._writer = connection._reader = None  # noqa: SLF001 - it would warn of being unclosed
        self.client._initialize = True  # noqa: SLF001 - to be connected anew: it would warn of being unclosed


def _close(transport: Any) -> None:
    transport.close()


def _reply(client: Any, command: Command, options: dict[str, Any]) -> Any:
    try:
        return client.execute_command(*command, **options)
    except errors.ResponseError as error:
        return error


async def _reply_async(client: Any, command: Command, options: dict[str, Any]) -> Any:
    try:
        return await client.execute_command(*command, **options)
    except errors.ResponseError as error:
        return error


def _pool(settings: RemoteSettings) -> Any:
    """A pool of redis-py's blocking connections to the primary."""
    place = settings.place()
    arguments = connection_arguments(place, settings) | pool_arguments()
    arguments["max_connections"] = settings.max_connections
    if place.credential_provider is not None:
        arguments["credential_provider"] = _Credentials(place.credential_provider)
    if place.service is not None:
        sentinel = sentinels.Sentinel(list(place.sentinels), sentinel_kwargs=_sentinel_arguments(settings))
        for name in ("host", "port"):
            arguments.pop(name)
        return sentinels.SentinelConnectionPool(place.service, sentinel, ssl=place.tls, **arguments)
    return connections.ConnectionPool(connection_class=_connection_class(place), **arguments)


def _sentinel_arguments(settings: RemoteSettings) -> dict[str, Any]:
    """How redis-py's sentinel client is to talk to sentinels."""
    place = settings.place()
    options = {name: value for name, value in place.options.items() if name.startswith("ssl_")}
    return {
        "username": place.sentinel_username,
        "password": place.sentinel_password,
        "socket_timeout": settings.timeout_s,
        "socket_connect_timeout": settings.connect_timeout_s,
        "ssl": place.tls,
        **options,
        **pool_arguments(),
    }


class _Credentials(credentials.CredentialProvider):
    """Those of another provider, whose errors become ones that make redis-py drop the connection."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider

    def get_credentials(self) -> Any:
        """User name and password, or the password alone."""
        try:
            return self._provider.get_credentials()
        except Exception as error:
            raise errors.AuthenticationError(type(error).__name__) from error


def _connection_class(place: Place) -> Any:
    if place.path is not None:
        return connections.UnixDomainSocketConnection
    return connections.SSLConnection if place.tls else connections.Connection


def _cluster_arguments(settings: RemoteSettings) -> dict[str, Any]:
    place = settings.place()
    arguments = connection_arguments(place, settings) | pool_arguments()
    arguments.pop("db")
    arguments |= {"ssl": place.tls, "max_connections": settings.max_connections}
    return arguments


def _knows_no_resp3(error: BaseException) -> bool:
    text = str(error).lower()
    return "unknown command" in text or "noproto" in text
