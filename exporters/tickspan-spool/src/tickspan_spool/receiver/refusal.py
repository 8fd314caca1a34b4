"""Refusal: why a request is not accepted, and how OTLP/HTTP says so."""

from __future__ import annotations

import json
from enum import StrEnum
from http import HTTPStatus

PROTOBUF_TYPE = "application/x-protobuf"
JSON_TYPE = "application/json"

# google.rpc.Code, which a refused sender finds in the body beside the HTTP status
_INVALID_ARGUMENT = 3
_RESOURCE_EXHAUSTED = 8


class Reason(StrEnum):
    """A closed set: the keys of `ReceiverStatistics.refused`."""

    CONNECTIONS = "connections"
    PATH = "path"
    METHOD = "method"
    CONTENT_TYPE = "content_type"
    CONTENT_ENCODING = "content_encoding"
    HEAD = "head"
    LENGTH = "length"
    TRUNCATED = "truncated"
    TIMEOUT = "timeout"
    WIRE_SIZE = "wire_size"
    INFLATED_SIZE = "inflated_size"
    INFLATION_RATIO = "inflation_ratio"
    NESTING = "nesting"
    RECORDS = "records"
    MALFORMED = "malformed"
    UNAUTHORIZED = "unauthorized"
    SCRIPTED = "scripted"
    FAULT = "fault"


class Refusal(Exception):  # noqa: N818 - an answer to the sender, not an error of ours
    """A request cannot be accepted.

    Attributes:
        reason: what it is counted under.
        status: the HTTP status of the answer.
        message: one sentence for the sender: what was expected and what came.
    """

    def __init__(self, reason: Reason, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status
        self.message = message


def malformed(message: str) -> Refusal:
    """A body that is not what its content type says."""
    return Refusal(Reason.MALFORMED, HTTPStatus.BAD_REQUEST, message)


def too_large(reason: Reason, message: str) -> Refusal:
    """A body beyond one of the limits."""
    return Refusal(reason, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)


def describe_refusal(refusal: Refusal, content_type: str) -> tuple[str, bytes]:
    """Content type and body of the answer.

    OTLP/HTTP asks for a `google.rpc.Status` in the encoding of the request; a sender that speaks neither
    encoding gets plain text.
    """
    code = _RESOURCE_EXHAUSTED if refusal.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else _INVALID_ARGUMENT
    if content_type == PROTOBUF_TYPE:
        return PROTOBUF_TYPE, _status_message(code, refusal.message)
    if content_type == JSON_TYPE:
        return JSON_TYPE, json.dumps({"code": code, "message": refusal.message}).encode()
    return "text/plain; charset=utf-8", refusal.message.encode()


def _status_message(code: int, message: str) -> bytes:
    """`google.rpc.Status{code = 1, message = 2}`: two fields, not worth a dependency."""
    text = message.encode(errors="replace")[:1024]
    length = len(text)
    size = bytes([length]) if length < 0x80 else bytes([length & 0x7F | 0x80, length >> 7])  # noqa: PLR2004 - varint
    return b"\x08" + bytes([code]) + b"\x12" + size + text
