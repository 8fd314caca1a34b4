"""Proxies: whether `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` send a request another way."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping


def proxy_for(scheme: str, host: str, port: int, environ: Mapping[str, str]) -> str | None:
    """The proxy's URL, None for a direct connection. The lower-case variable wins.

    `HTTP_PROXY` in capitals is not believed under CGI (`REQUEST_METHOD` is set), where any client sets it.
    """
    proxy = _variable(environ, f"{scheme}_proxy")
    is_cgi = scheme == "http" and "REQUEST_METHOD" in environ and "http_proxy" not in environ
    if not proxy or is_cgi or _is_exempt(host, port, _variable(environ, "no_proxy")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, environ.get(name.upper(), "")).strip()


def _is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """By `*`, by name and what is below it, by address or network; an entry may name a port."""
    entries = [entry.strip().lower() for entry in no_proxy.split(",")]
    return any(_matches(host.lower().rstrip("."), port, entry) for entry in entries if entry)


def _matches(host: str, port: int, entry: str) -> bool:
    name, colon, entry_port = entry.rpartition(":")
    if colon and entry_port.isdigit() and ":" not in name:
        return int(entry_port) == port and _matches(host, port, name)
    suffix = entry.lstrip("*").lstrip(".")
    return not suffix or host == suffix or host.endswith(f".{suffix}") or _is_inside(host, entry)


def _is_inside(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network.strip("[]"), strict=False)
    except ValueError:
        return False
