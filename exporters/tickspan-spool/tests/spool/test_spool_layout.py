from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tickspan_spool import layout
from tickspan_spool.entries import StreamKey
from tickspan_spool.layout import Acknowledgement, RecordHeader, SegmentHeader
from tickspan_spool.reasons import REASONS, Reason

_u64 = st.integers(0, 2**64 - 1)
_u32 = st.integers(0, 2**32 - 1)
_text = st.text(st.characters(exclude_categories=["Cs"]))
_keys = st.builds(StreamKey, st.sampled_from(layout.SIGNALS), st.binary(), st.binary(), _text, _text)
_acks = st.builds(
    Acknowledgement, st.integers(1, 2**64 - 1), _u64, _u64, _u64, _u64, st.tuples(*[_u64] * len(REASONS))
)


def test_the_reasons_are_the_closed_set_in_their_order_on_disk():
    assert (
        *(
            "ring_full",
            "disk_bound",
            "expired",
            "too_big",
            "invalid",
            "torn",
            "damaged",
            "rejected",
            "refused",
        ),
        *("filtered", "after_shutdown"),
    ) == REASONS
    assert REASONS[0] is Reason.RING_FULL


@given(st.binary(min_size=16, max_size=16), _u64, _u64, _u64)
def test_a_segment_header_survives_the_disk(boot_id: bytes, namespace: int, number: int, size: int):
    header = SegmentHeader(boot_id, namespace, number, size)

    assert len(header.pack()) == layout.SEGMENT_HEADER_BYTES
    assert layout.parse_segment_header(header.pack()) == header


@given(st.integers(0, 59), st.integers(0, 7))
def test_a_flipped_bit_in_a_segment_header_is_noticed(index: int, bit: int):
    data = bytearray(SegmentHeader(bytes(16), 1, 2, 3).pack())
    data[index] ^= 1 << bit

    assert layout.parse_segment_header(bytes(data)) is None


@given(
    st.binary(min_size=1, max_size=500),
    st.integers(1, 6),
    st.integers(0, 2),
    _u32,
    _u64,
    st.integers(0, 65535),
)
def test_a_record_header_survives_the_disk(
    payload: bytes, kind: int, signal: int, stream: int, sequence: int, items: int
):
    record = layout.pack_record(
        payload, kind=kind, signal=signal, stream=stream, sequence=sequence, items=items
    )
    header = layout.parse_record_header(record)

    assert len(record) % 8 == 0
    assert header is not None
    assert header == RecordHeader(len(payload), sequence, stream, items, kind, signal, header.payload_crc)


@given(st.integers(0, 31), st.integers(0, 7))
def test_a_flipped_bit_in_a_record_header_is_noticed(index: int, bit: int):
    data = bytearray(layout.pack_record(b"payload", kind=1))
    data[index] ^= 1 << bit

    assert layout.parse_record_header(bytes(data)) is None


@given(_keys)
def test_a_stream_key_survives_the_disk(key: StreamKey):
    assert layout.unpack_stream_key(layout.pack_stream_key(key)) == key


@given(st.binary(max_size=60))
def test_other_bytes_are_no_stream_key_or_pack_to_themselves(data: bytes):
    key = layout.unpack_stream_key(data)

    assert key is None or isinstance(key, StreamKey)


@given(_acks)
def test_an_acknowledgement_survives_the_disk(ack: Acknowledgement):
    data = bytearray(2 * layout.ACK_SLOT_BYTES)
    data[ack.place : ack.place + layout.ACK_SLOT_BYTES] = ack.pack()

    assert layout.parse_acknowledgement(bytes(data)) == ack


@given(_acks, st.integers(0, 131), st.integers(0, 7))
def test_a_damaged_slot_leaves_the_one_before(ack: Acknowledgement, index: int, bit: int):
    before = Acknowledgement(generation=6, segment=1, next_sequence=10, delivered=10)
    after = Acknowledgement(7, ack.segment, ack.offset, ack.next_sequence, ack.delivered, ack.dropped)
    slot = bytearray(after.pack())
    slot[index] ^= 1 << bit

    assert layout.parse_acknowledgement(before.pack() + bytes(slot)) == before


@given(st.binary(max_size=5000))
def test_any_bytes_can_be_looked_at(data: bytes):
    layout.parse_page(data)
    layout.parse_acknowledgement(data)
    layout.parse_segment_header(data)

    assert layout.next_record(data, 0) == -1
