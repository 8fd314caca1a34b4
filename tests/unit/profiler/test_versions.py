"""What became slower between two versions of a service is told once, and noise is not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import ScopeLogs

from tickspan.analysis.profiles import Frame, Profile, Sample
from tickspan.analysis.regression import Change
from tickspan.profiler.regressing import regression_record
from tickspan.profiler.versions import FILE, Regression, Versions


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def minute(version: str, counts: dict[str, int], service: str = "bot", state: str = "cpu") -> Profile:
    frames = tuple(Frame(name, "/bot.py", 1, 1) for name in counts)
    stacks = ((), *((index,) for index in range(len(frames))))
    samples = tuple(
        Sample(place, "t", state, None, count, count) for place, count in enumerate(counts.values(), 1)
    )
    return Profile(service, version, 1, 0, 1, 1, frames, stacks, samples)


USUAL = {"price": 300, "risk": 200, "book": 200, "route": 200, "log": 100}
SLOWER = {**USUAL, "risk": 900}


def told(found: list[Regression]) -> list[tuple[str, str, str]]:
    return [(one.before, one.after, one.change.function) for one in found]


def test_a_function_that_a_version_made_slower_is_told_once(spool: Path):
    versions = Versions(spool)
    assert [versions.note(minute("1.0", USUAL)) for _ in range(3)] == [[], [], []]
    (found,) = versions.note(minute("1.1", SLOWER))
    assert (found.service, found.before, found.after) == ("bot", "1.0", "1.1")
    assert found.change == Change("risk (bot.py)", 0.2, 9 / 17, found.change.p_value, is_significant=True)
    assert [versions.note(minute("1.1", SLOWER)) for _ in range(9)] == [[]] * 9


def test_what_is_known_outlives_the_agent(spool: Path):
    Versions(spool).note(minute("1.0", USUAL))
    Versions(spool).note(minute("1.0", USUAL))
    assert told(Versions(spool).note(minute("1.1", SLOWER))) == [("1.0", "1.1", "risk (bot.py)")]
    assert Versions(spool).note(minute("1.1", SLOWER)) == []


def test_services_and_versions_are_apart_also_while_both_versions_run(spool: Path):
    versions = Versions(spool)
    for service in ("bot", "other"):
        versions.note(minute("1.0", USUAL, service))
    assert versions.note(minute("1.0", SLOWER, "third")) == []
    assert versions.note(minute("1.1", {"risk": 100}, "other")) == []
    assert versions.note(minute("1.0", USUAL)) == []
    assert told(versions.note(minute("1.1", SLOWER))) == [("1.0", "1.1", "risk (bot.py)")]
    assert versions.note(minute("1.2", SLOWER)) == []


def test_few_samples_and_those_without_a_version_say_nothing(spool: Path):
    versions = Versions(spool)
    versions.note(minute("1.0", USUAL))
    assert versions.note(minute("1.1", {"risk": 400})) == []
    assert versions.note(minute("", {"risk": 4_000})) == []
    assert versions.note(minute("1.1", {"risk": 4_000}, state="idle")) == []


def test_hours_of_two_versions_that_do_the_same_are_told_as_slower_at_most_5_times_in_100(
    spool: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Versions, "_save", lambda self: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] - of versions
    generator = random.Random(11)

    def drawn(version: str) -> Profile:
        counts = dict.fromkeys((f"f{place}" for place in range(15)), 0)
        while sum(counts.values()) < 600:
            name = generator.choices(list(counts), [1 / (place + 1) for place in range(15)])[0]
            counts[name] += generator.choice((1, 1, 2, 8))
        return minute(version, counts)

    def hours(number: int) -> bool:
        versions = Versions(spool / str(number))
        for _ in range(12):
            versions.note(drawn("1.0"))
        return any(versions.note(drawn("1.1")) for _ in range(12))

    assert sum(hours(number) for number in range(60)) <= 3


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1, "services": {"bot": [7]}}', b"\xff"])
def test_a_file_that_is_damaged_is_begun_anew(spool: Path, content: bytes):
    versions = Versions(spool)
    versions.note(minute("1.0", USUAL))
    (spool / "profiles" / FILE).write_bytes(content)
    later = Versions(spool)
    assert later.note(minute("1.1", SLOWER)) == []
    later.note(minute("1.2", USUAL))
    assert repr(Versions(spool)) == "<Versions of 0 services>"
    assert repr(later) == "<Versions of 1 services>"


def test_functions_services_and_samples_are_bounded(spool: Path):
    versions = Versions(spool)
    for place in range(3):
        versions.note(minute("1.0", {f"f{place}-{number}": 100 for number in range(900)}))
    for number in range(150):
        versions.note(minute("1.0", {"f": 1}, f"service-{number}"))
    assert repr(versions) == "<Versions of 100 services>"
    assert (spool / "profiles" / FILE).stat().st_size < 100_000


def test_a_regression_is_an_event_with_both_shares_and_versions():
    change = Change("risk (bot.py)", 0.2, 0.5, 0.001, is_significant=True)
    (record,) = ScopeLogs.FromString(
        regression_record(Regression("bot", "1.0", "1.1", change), 5)
    ).log_records
    assert (record.event_name, record.severity_text) == ("tickspan.profile.regression", "WARN")
    assert record.body.string_value == "risk (bot.py) takes 50.0% of bot 1.1, 20.0% of 1.0"
    assert {one.key: one.value.string_value or one.value.double_value for one in record.attributes} == {
        "tickspan.profile.function": "risk (bot.py)",
        "tickspan.profile.share.before": 0.2,
        "tickspan.profile.share.after": 0.5,
        "tickspan.profile.version.before": "1.0",
        "tickspan.profile.version.after": "1.1",
    }
