"""Inflation: compressed bodies to plain bytes, within bounds that the sender cannot move."""

from __future__ import annotations

import zlib
from http import HTTPStatus

from .limits import Limits
from .refusal import Reason, Refusal, malformed, too_large

_GZIP_WINDOW = 31
_ZLIB_WINDOW = 15


def inflate(body: bytes, encoding: str, limits: Limits) -> bytes:
    """The plain body.

    Args:
        body: as received.
        encoding: the `Content-Encoding` header: "", "identity", "gzip" or "deflate" (zlib format, RFC 9110).
        limits: `inflated_bytes`, `inflation_ratio`, `ratio_free_bytes` and `gzip_members` are looked at.

    Raises:
        Refusal: an unknown encoding (415), damaged or truncated data (400), beyond a limit (413).
    """
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip":
            return _inflate_members(body, limits)
        case "deflate":
            return _inflate_members(body, limits, window=_ZLIB_WINDOW, members=1)
        case other:
            raise Refusal(
                Reason.CONTENT_ENCODING,
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"content-encoding: expected gzip, deflate or identity, got {other[:40]!r}",
            )


def _inflate_members(
    body: bytes, limits: Limits, *, window: int = _GZIP_WINDOW, members: int | None = None
) -> bytes:
    allowed = _allowed_bytes(len(body), limits)
    parts: list[bytes] = []
    size, rest = 0, body
    for _ in range(limits.gzip_members if members is None else members):
        part, rest = _inflate_member(rest, window, allowed - size)
        size += len(part)
        if size > allowed:
            raise _beyond(allowed, limits)
        parts.append(part)
        if not rest:
            return b"".join(parts)
    raise malformed(f"compressed body: {len(rest)} bytes follow the last member that is allowed")


def _inflate_member(data: bytes, window: int, room: int) -> tuple[bytes, bytes]:
    """One member, cut one byte beyond `room` so that the caller sees the overflow; and what follows it."""
    inflater = zlib.decompressobj(window)
    try:
        plain = inflater.decompress(data, max(room, 0) + 1)
    except zlib.error as error:
        raise malformed(f"compressed body: {error}") from None
    if len(plain) <= room and not inflater.eof:
        raise malformed("compressed body: it ends before its last block")
    return plain, inflater.unused_data


def _allowed_bytes(wire_bytes: int, limits: Limits) -> int:
    by_ratio = max(wire_bytes * limits.inflation_ratio, limits.ratio_free_bytes)
    return min(by_ratio, limits.inflated_bytes)


def _beyond(allowed: int, limits: Limits) -> Refusal:
    if allowed == limits.inflated_bytes:
        return too_large(
            Reason.INFLATED_SIZE, f"body: inflates to more than {allowed} bytes; send less at once"
        )
    ratio = limits.inflation_ratio
    return too_large(Reason.INFLATION_RATIO, f"body: inflates to more than {ratio} times its size")
