"""Limits: how much one sender may ask of the receiver."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one receiver; a request beyond one of them is refused at once.

    The defaults hold any batch of a stock exporter and keep the memory of one request below about 200 MiB,
    whatever its bytes say.

    Attributes:
        wire_bytes: a body as sent.
        inflated_bytes: a body after decompression.
        inflation_ratio: inflated bytes per byte on the wire, looked at beyond `ratio_free_bytes`.
        ratio_free_bytes: small bodies of equal records compress beyond any honest ratio; these are let pass.
        gzip_members: concatenated gzip members in one body.
        nesting: messages (protobuf) or brackets (JSON) inside one another.
        records: spans, metric points or log records in one request.
        values: messages of any kind in one protobuf body, and every eighth number of a list.
        json_values: objects, arrays and members in one JSON body: in Python each takes up to 300 bytes.
        connections: open connections; more are answered with 503.
        idle_timeout_s: wait for the first byte of a request on an open connection.
        request_timeout_s: whole time for head and body, however small the drips.
        stop_timeout_s: wait for requests under way when the receiver stops.
    """

    wire_bytes: int = 4 * 1024 * 1024
    inflated_bytes: int = 16 * 1024 * 1024
    inflation_ratio: int = 100
    ratio_free_bytes: int = 256 * 1024
    gzip_members: int = 64
    nesting: int = 64
    records: int = 100_000
    values: int = 1_000_000
    json_values: int = 300_000
    connections: int = 64
    idle_timeout_s: float = 60.0
    request_timeout_s: float = 10.0
    stop_timeout_s: float = 5.0
