"""What tells a log record from all others goes out with it."""

from __future__ import annotations

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs
from tickspan_spool.entries import Entry, StreamKey
from tickspan_spool.semconv import LOG_RECORD_UID
from tickspan_spool.uids import with_uid

STREAM = StreamKey("logs", b"", b"")


def entry(*records: LogRecord, sequence: int = 7) -> Entry:
    """As the writing side leaves it."""
    return Entry(STREAM, ScopeLogs(log_records=records).SerializeToString(), len(records), sequence)


@pytest.mark.parametrize("size", [0, 1, 60, 127, 128, 20_000, 1 << 20])
def test_a_record_keeps_all_it_has_and_gets_process_and_number(size: int):
    record = LogRecord(
        body=AnyValue(string_value="x" * size),
        attributes=[KeyValue(key="symbol", value=AnyValue(string_value="AAPL"))],
        severity_number=9,  # pyright: ignore[reportArgumentType] - an enum is a number
    )
    found = with_uid(entry(record), "12-34-abcd")
    (told,) = ScopeLogs.FromString(found.body).log_records
    record.attributes.append(KeyValue(key=LOG_RECORD_UID, value=AnyValue(string_value="12-34-abcd-7")))
    assert (told, found.items, found.sequence) == (record, 1, 7)


def test_a_record_that_has_one_keeps_it():
    own = KeyValue(key=LOG_RECORD_UID, value=AnyValue(string_value="01HX"))
    given = entry(LogRecord(attributes=[own]))
    assert with_uid(given, "12-34-abcd") is given


def test_several_records_in_one_are_left_as_they_are():
    given = entry(LogRecord(), LogRecord())
    assert with_uid(given, "12-34-abcd") is given
