"""Issuer: who signed a certificate that is not trusted, so that a human can tell what stands in the way."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from .deadline import DeadlineSocket
from .partial_success import printable

_INTEGER, _VERSION = 0x02, 0xA0
_NAMES = (b"\x55\x04\x03", b"\x55\x04\x0a")  # commonName, organizationName
_LONG_FORM = 0x80


def met_issuer(connection: DeadlineSocket) -> str:
    """The issuer that a server shows, empty when it cannot be told. Closes the connection.

    The library keeps nothing of a certificate that it refuses, so this shakes hands once more without
    checking. No byte of ours goes over that connection.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        connection.settimeout(connection.countdown.left_s())
        with context.wrap_socket(connection) as shown:
            return issuer_name(shown.getpeercert(binary_form=True) or b"")
    except OSError:
        return ""
    finally:
        connection.close()


def issuer_name(certificate: bytes) -> str:
    """The common name, else the organisation, of a DER certificate's issuer; empty when there is none."""
    try:
        _, whole = next(_values(certificate))
        _, signed = next(_values(whole))
        fields = [content for tag, content in _values(signed) if tag not in {_VERSION, _INTEGER}]
        names = dict(_attributes(fields[1]))  # the first is the algorithm
    except (StopIteration, IndexError, ValueError):
        return ""
    return printable(next((names[kind] for kind in _NAMES if kind in names), b""))


def _attributes(name: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Object identifiers and texts of an X.501 name: a list of sets of pairs."""
    for _, relative in _values(name):
        for _, pair in _values(relative):
            (_, kind), (_, text) = list(_values(pair))[:2]
            yield kind, text


def _values(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Tags and contents that stand one behind the other. Raises IndexError where these end early."""
    position = 0
    while position < len(content):
        tag, length = content[position], content[position + 1]
        position += 2
        if length >= _LONG_FORM:
            size = length - _LONG_FORM
            length = int.from_bytes(content[position : position + size])
            position += size
        yield tag, content[position : position + length]
        position += length
