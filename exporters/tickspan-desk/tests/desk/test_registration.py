"""One desk for each store, and a name that lasts as long as what is kept."""

import json
from pathlib import Path

import pytest
from tickspan_desk.registration import Claim, Registration, TakenError, default_store
from tickspan_spool.viewers import viewers


def test_the_store_is_beside_the_spool(tmp_path: Path):
    assert default_store(tmp_path / "tickspan" / "spool") == tmp_path / "tickspan" / "desk" / "desk.sqlite"


def test_a_second_desk_is_told_where_the_first_is(tmp_path: Path):
    store = tmp_path / "desk" / "desk.sqlite"
    claim = Claim(store)
    claim.tell("http://127.0.0.1:8321/#token")
    with pytest.raises(TakenError) as taken:
        Claim(store)
    claim.release()
    Claim(store).release()
    assert taken.value.url == "http://127.0.0.1:8321/#token"


def test_where_the_first_is_can_be_read_by_its_owner_alone(tmp_path: Path):
    store = tmp_path / "desk" / "desk.sqlite"
    Claim(store).release()
    (file,) = store.parent.iterdir()
    assert (file.stat().st_mode & 0o777, store.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_name_lasts_as_long_as_the_store(tmp_path: Path):
    store = tmp_path / "desk.sqlite"
    names: list[str] = []
    for is_there in (True, True, False):
        claim = Claim(store)
        names.append(claim.name)
        claim.release()
        store.unlink(missing_ok=True)
        store.with_name(store.name if is_there else "moved").write_bytes(b"kept")
    claim = Claim(store)
    claim.release()
    assert (names[1] == names[2], names[0] == names[1], claim.name in names) == (True, True, False)


def test_a_damaged_claim_is_a_new_one(tmp_path: Path):
    store = tmp_path / "desk.sqlite"
    store.write_bytes(b"kept")
    Path(f"{store}.desk").write_text(json.dumps({"name": "../../etc/passwd"}))
    claim = Claim(store)
    claim.release()
    assert len(bytes.fromhex(claim.name)) == 16


def test_a_registration_lasts_as_long_as_its_block(tmp_path: Path):
    entered = Registration(
        tmp_path, "0" * 32, "http://127.0.0.1:4318", "http://127.0.0.1:8321/", is_lasting=True
    )
    with entered as registration:
        inside = viewers(tmp_path)
    assert (inside, viewers(tmp_path)) == ([registration.viewer], [])
