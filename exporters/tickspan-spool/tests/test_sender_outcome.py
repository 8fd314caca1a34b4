"""The matrix: what each answer means."""

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from tickspan_spool.sender import Outcome, OutcomeKind, decide, decide_grpc
from tickspan_spool.sender.backoff import Backoff
from tickspan_spool.sender.retry_after import retry_after_s

_DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def _partial(rejected: int, message: str = "") -> bytes:
    partial = ExportTracePartialSuccess(rejected_spans=rejected, error_message=message)
    return ExportTraceServiceResponse(partial_success=partial).SerializeToString()


def _kinds(*statuses: int) -> set[OutcomeKind]:
    return {decide(status, {}, b"", 1).kind for status in statuses}


def test_statuses_mean_what_otlp_says():
    assert _kinds(200, 202, 204) == {OutcomeKind.DELIVERED}
    assert _kinds(429, 502, 503, 504) == {OutcomeKind.RETRY}
    assert _kinds(413) == {OutcomeKind.SPLIT}
    assert _kinds(400) == {OutcomeKind.DEAD}
    assert _kinds(101, 301, 302, 307, 308, 401, 403, 404, 405, 408, 415, 418, 500, 501, 505, 599) == {
        OutcomeKind.PAUSED
    }


def test_rejected_records_are_counted_and_explained():
    assert decide(200, {}, _partial(2, "no\ntrace\x00 id"), 5) == Outcome(
        OutcomeKind.DELIVERED,
        rejected=2,
        explanation="accepted, but 2 of 5 records rejected: no trace id",
    )


def test_a_partial_success_that_rejects_nothing_is_a_warning():
    assert decide(200, {}, _partial(0, "old schema"), 5) == Outcome(
        OutcomeKind.DELIVERED, explanation="accepted with a warning: old schema"
    )


@pytest.mark.parametrize(
    ("rejected", "counted"), [(-3, 0), (5, 5), (6, 5), (2**62, 5)], ids=["negative", "all", "more", "absurd"]
)
def test_a_back_end_cannot_reject_more_than_was_sent_nor_less_than_none(rejected: int, counted: int):
    assert decide(200, {}, _partial(rejected), 5).rejected == counted


def test_a_compressed_answer_is_not_read():
    assert decide(200, {"content-encoding": "gzip"}, _partial(3), 5) == Outcome(OutcomeKind.DELIVERED)


@given(st.binary(max_size=200), st.sampled_from([200, 400, 503]))
def test_no_body_makes_it_raise(body: bytes, status: int):
    outcome = decide(status, {"content-type": "application/x-protobuf"}, body, 7)
    assert 0 <= outcome.rejected <= 7
    assert outcome.explanation.isprintable()


def test_a_partial_success_that_is_cut_off_still_counts():
    assert decide(200, {}, _partial(3, "x" * 100_000)[:65_536], 5).rejected == 3


def test_a_refusal_says_what_the_back_end_said():
    status = Status(code=3, message="invalid trace id").SerializeToString()
    assert decide(400, {"content-type": "application/x-protobuf"}, status, 1) == Outcome(
        OutcomeKind.DEAD, explanation="answered 400 Bad Request: invalid trace id"
    )
    assert decide(401, {"content-type": "text/plain"}, b"token\r\nexpired" + b"!" * 500, 1) == Outcome(
        OutcomeKind.PAUSED, explanation="answered 401 Unauthorized: token expired" + "!" * 186 + "…"
    )
    assert decide(302, {}, b"", 1).explanation == (
        "answered 302 Found: redirects are not followed, configure the final address"
    )


@pytest.mark.parametrize(
    ("value", "date", "expected"),
    [
        (None, _DATE, 0.0),
        ("7", None, 7.0),
        (" 0120 ", None, 120.0),
        ("301", None, 300.0),
        ("9" * 5000, None, 300.0),
        ("-1", None, 0.0),
        ("1.5", None, 0.0),
        ("٣", None, 0.0),
        ("soon", None, 0.0),
        ("", None, 0.0),
        ("Sun, 06 Nov 1994 08:49:57 GMT", _DATE, 20.0),
        ("Sunday, 06-Nov-94 08:49:57 GMT", _DATE, 20.0),
        ("Sun Nov  6 08:49:57 1994", _DATE, 20.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", _DATE, 0.0),
        ("Mon, 07 Nov 1994 08:49:37 GMT", _DATE, 300.0),
        ("Sun, 06 Nov 1994 08:49:57 GMT", None, 0.0),
        ("Sun, 06 Nov 1994 08:49:57 GMT", "yesterday", 0.0),
        ("Sun, 99 Nov 1994 99:49:57 GMT", _DATE, 0.0),
    ],
)
def test_retry_after_in_every_form(value: str | None, date: str | None, expected: float):
    assert retry_after_s(value, date) == expected


def test_retry_after_reaches_the_outcome():
    headers = {"retry-after": "Sun, 06 Nov 1994 08:49:57 GMT", "date": _DATE}
    assert decide(503, headers, b"", 1) == Outcome(
        OutcomeKind.RETRY, wait_s=20.0, explanation="answered 503 Service Unavailable"
    )


class _Top:
    """A generator that always draws the upper bound."""

    def uniform(self, low: float, high: float) -> float:
        return low + high


def test_backoff_doubles_up_to_its_bound_and_a_servers_wish_is_a_floor():
    backoff = Backoff(_Top())  # pyright: ignore[reportArgumentType] - it draws by `uniform` only
    waits = [backoff.after_failure(0.0) for _ in range(8)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert backoff.after_failure(100.0) == 100.0
    backoff.after_success()
    assert (backoff.failures, backoff.after_failure(0.1)) == (0, 0.5)


def _details(*messages: AnyMessage) -> bytes:
    return Status(code=8, message="full", details=messages).SerializeToString()


def _retry_info(seconds: int, nanos: int = 0) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos)))
    return packed


def _grpc_kinds(*codes: str) -> set[OutcomeKind]:
    return {decide_grpc(code, "", b"").kind for code in codes}


def test_grpc_codes_mean_what_otlp_says():
    assert _grpc_kinds(
        "CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"
    ) == {OutcomeKind.RETRY}
    assert _grpc_kinds("INVALID_ARGUMENT") == {OutcomeKind.DEAD}
    assert _grpc_kinds(
        "UNKNOWN",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
        "FAILED_PRECONDITION",
        "UNIMPLEMENTED",
        "INTERNAL",
        "RESOURCE_EXHAUSTED",
    ) == {OutcomeKind.PAUSED}


def test_an_exhausted_resource_is_retried_only_with_retry_info():
    unrelated = AnyMessage(type_url="type.googleapis.com/google.rpc.Help", value=b"\x0a\x00")
    assert decide_grpc("RESOURCE_EXHAUSTED", "quota", _details(unrelated, _retry_info(2, 500_000_000))) == (
        Outcome(OutcomeKind.RETRY, wait_s=2.5, explanation="answered RESOURCE_EXHAUSTED: quota")
    )
    assert decide_grpc("RESOURCE_EXHAUSTED", "quota", _details(unrelated)).kind is OutcomeKind.PAUSED
    assert decide_grpc("RESOURCE_EXHAUSTED", "", _details(_retry_info(10**9))).wait_s == 300.0


@pytest.mark.parametrize(
    "message",
    [
        "grpc: received message larger than max (5 vs. 4)",
        "SERVER: Received message larger than max (5 vs. 4)",
        "gRPC message exceeds maximum size 4: 5",
    ],
)
def test_a_message_that_is_too_large_is_split(message: str):
    assert decide_grpc("RESOURCE_EXHAUSTED", message, b"").kind is OutcomeKind.SPLIT


def test_an_answer_that_is_too_long_for_us_was_an_acceptance():
    outcome = decide_grpc("RESOURCE_EXHAUSTED", "CLIENT: Received message larger than max (5 vs. 4)", b"")
    assert outcome.kind is OutcomeKind.DELIVERED


@given(st.binary(max_size=100))
def test_no_details_make_it_raise(details: bytes):
    outcome = decide_grpc("UNAVAILABLE", "failed to connect to all addresses", details)
    assert (outcome.kind, outcome.is_ambiguous) == (OutcomeKind.RETRY, False)
