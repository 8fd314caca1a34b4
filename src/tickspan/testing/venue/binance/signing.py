"""Who is asking: API key, HMAC signature and time window of a request, checked as Binance does."""

from __future__ import annotations

import hmac
import re

from tickspan.testing.venue.binance.errors import BinanceError, missing
from tickspan.testing.venue.binance.parameters import Parameters
from tickspan.testing.venue.credentials import Credentials

_KEY_FORM = re.compile(r"[A-Za-z0-9_-]{8,128}")
_SIGNATURE = re.compile(r"(?:^|&)signature=([^&]*)")
_DEFAULT_WINDOW_MS = 5_000
_LONGEST_WINDOW_MS = 60_000
_TOLERATED_LEAD_MS = 1_000


def check_key(credentials: Credentials, api_key: str) -> None:
    """Raises BinanceError -2014 for a malformed key, -2015 for one that is not the account's."""
    if not _KEY_FORM.fullmatch(api_key):
        raise BinanceError(401, -2014, "API-key format invalid.")
    if not hmac.compare_digest(api_key, credentials.api_key):
        raise BinanceError(401, -2015, "Invalid API-key, IP, or permissions for action.")


def check_signature(credentials: Credentials, payload: str, signature: str) -> None:
    """Raises BinanceError -1102 without a signature and -1022 for a wrong one."""
    if not signature:
        raise missing("signature")
    if not hmac.compare_digest(credentials.sign(payload), signature.lower()):
        raise BinanceError(400, -1022, "Signature for this request is not valid.")


def check_time(parameters: Parameters, now_ms: int) -> None:
    """Raises BinanceError -1021 for a request from outside its own window, -1131 for too wide a one."""
    timestamp = parameters.whole("timestamp")
    if timestamp is None:
        raise missing("timestamp")
    window = parameters.whole("recvWindow") or _DEFAULT_WINDOW_MS
    if window > _LONGEST_WINDOW_MS:
        raise BinanceError(400, -1131, "recvWindow must be less than 60000")
    if timestamp >= now_ms + _TOLERATED_LEAD_MS:
        message = "Timestamp for this request was 1000ms ahead of the server's time."
        raise BinanceError(400, -1021, message)
    if now_ms - timestamp > window:
        raise BinanceError(400, -1021, "Timestamp for this request is outside of the recvWindow.")


def split_signature(query: str, body: str) -> tuple[str, str]:
    """What a REST request's signature covers (query, then body, as sent), and the signature."""
    found = _SIGNATURE.search(query) or _SIGNATURE.search(body)
    return _SIGNATURE.sub("", query) + _SIGNATURE.sub("", body), found[1] if found else ""


def message_payload(parameters: Parameters) -> str:
    """What a WebSocket API request's signature covers: its parameters, sorted by name."""
    values = parameters.values
    return "&".join(f"{name}={values[name]}" for name in sorted(values) if name != "signature")
