"""Which hosts are ours: an allow-list of names, suffixes and networks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

EVERYWHERE: Final = "*"
NOT_EVEN_PRIVATE: Final = "none"

_PRIVATE_SUFFIXES: Final = ("internal", "svc", "cluster.local", "localhost")
_PRIVATE_NETWORKS: Final = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
_NAME: Final = re.compile(r"[\w-]+(?:\.[\w-]+)*")
_NUMERIC_LABEL: Final = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
_MAX_REMEMBERED: Final = 1024
_MAX_HOST: Final = 255


class HostList:
    """Hosts that may be told something. Immutable; safe from any thread.

    An entry is a name, which stands for itself and all names below it (`example.com` and `*.example.com` are
    the same), an address, a network such as `203.0.113.0/24`, or `*` for everywhere.

    Args:
        entries: as above; `none` says that private hosts are not on the list either.
        with_private: whether this machine, private addresses, names of a single label, `*.internal`, `*.svc`
            and `*.cluster.local` are on it.

    Raises:
        ValueError: an entry is none of these.
    """

    __slots__ = ("_answers", "_networks", "_suffixes", "entries", "is_everywhere", "with_private")

    def __init__(self, entries: Iterable[str] = (), *, with_private: bool = False) -> None:
        self.entries = tuple(entry.strip().lower() for entry in entries if entry.strip())
        self.is_everywhere = EVERYWHERE in self.entries
        self.with_private = with_private and NOT_EVEN_PRIVATE not in self.entries
        named = [entry for entry in self.entries if entry not in {EVERYWHERE, NOT_EVEN_PRIVATE}]
        networks = [found for entry in named if (found := _network(entry)) is not None]
        suffixes = [_suffix(entry) for entry in named if _network(entry) is None]
        self._networks = (*networks, *_PRIVATE_NETWORKS) if self.with_private else tuple(networks)
        self._suffixes = frozenset((*suffixes, *_PRIVATE_SUFFIXES) if self.with_private else suffixes)
        self._answers: dict[str, bool] = {}

    def __repr__(self) -> str:
        private = " and private hosts" if self.with_private else ""
        return f"<HostList {', '.join(self.entries) or 'nobody'}{private}>"

    def allows(self, host: str) -> bool:
        """Whether `host`, a name or an address without a port, is on the list."""
        if self.is_everywhere:
            return True
        known = self._answers.get(host)
        if known is None:
            known = self._looked_up(host)
            if len(self._answers) < _MAX_REMEMBERED and len(host) <= _MAX_HOST:
                self._answers[host] = known
        return known

    def _looked_up(self, host: str) -> bool:
        name = host.lower().strip("[]").rstrip(".")
        if not name or len(name) > _MAX_HOST:
            return False
        address = _address(name)
        if address is not None:
            return any(address in network for network in self._networks)
        if not _NAME.fullmatch(name):
            return False
        labels = name.split(".")
        if _NUMERIC_LABEL.fullmatch(labels[-1]):
            return False  # resolvers read 134744072, 0x8080808 and 8.526344 as addresses
        if len(labels) == 1 and self.with_private:
            return True
        return any(".".join(labels[start:]) in self._suffixes for start in range(len(labels)))


def host_of(place: str) -> str:
    """The host in `host`, `host:port`, `[::1]:port`."""
    if place.startswith("["):
        return place[1:].partition("]")[0]
    return place.partition(":")[0] if place.count(":") == 1 else place


def _suffix(entry: str) -> str:
    suffix = entry.removeprefix("*").removeprefix(".").rstrip(".")
    if not _NAME.fullmatch(suffix):
        raise ValueError(f"expected a host, a suffix such as '*.example.com', or a network, got {entry!r}")
    return suffix


def _network(entry: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(name.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
