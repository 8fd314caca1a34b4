import asyncio
from decimal import Decimal

import pytest

from tickspan.testing.venue.tws import wire
from tickspan.testing.venue.tws.wire import BrokenFrameError, Value


def reader_of(data: bytes) -> asyncio.StreamReader:
    """A reader at whose end the connection is closed; must be made on a loop."""
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


def fields_of(data: bytes) -> list[str]:
    async def read() -> list[str]:
        return await wire.read_fields(reader_of(data))

    return asyncio.run(read())


def versions_of(data: bytes) -> range:
    async def read() -> range:
        return await wire.read_versions(reader_of(data))

    return asyncio.run(read())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("", ""),
        ("AAPL", "AAPL"),
        (7, "7"),
        (True, "1"),
        (False, "0"),
        (Decimal("1E+2"), "100"),
        (Decimal("0.00000001"), "0.00000001"),
    ],
)
def test_a_value_is_written_as_tws_writes_it(value: Value, text: str):
    assert wire.frame([3, value]) == len(f"3-{text}-").to_bytes(4, "big") + f"3\0{text}\0".encode()


def test_what_is_framed_is_read_again():
    assert fields_of(wire.frame([71, 2, 7, ""])) == ["71", "2", "7", ""]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\x00\x00\x00\x02ab", BrokenFrameError),
        (b"\x00\x00\x00\x00", BrokenFrameError),
        (b"\x7f\xff\xff\xff", BrokenFrameError),
        (b"GET / HTTP/1.1\r\n", BrokenFrameError),
        (b"\x00\x00\x00\x09ab\0", asyncio.IncompleteReadError),
        (b"", asyncio.IncompleteReadError),
    ],
)
def test_what_is_no_frame_says_so(data: bytes, error: type[Exception]):
    with pytest.raises(error):
        fields_of(data)


@pytest.mark.parametrize(
    ("offer", "versions"),
    [
        (b"v157..178", range(157, 179)),
        (b"v157..176 +PACEAPI", range(157, 177)),
        (b"v100", range(100, 101)),
    ],
)
def test_a_client_offers_its_versions(offer: bytes, versions: range):
    assert versions_of(b"API\0" + len(offer).to_bytes(4, "big") + offer) == versions


@pytest.mark.parametrize(
    "data", [b"API\0\x00\x00\x00\x03abc", b"FIX\0\x00\x00\x00\x04v1..", b"GET / HTTP/1.1"]
)
def test_what_offers_no_versions_is_no_client(data: bytes):
    with pytest.raises(BrokenFrameError):
        versions_of(data)
