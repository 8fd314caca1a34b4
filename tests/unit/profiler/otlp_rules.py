"""The published rules of OTLP profiles, as of `profiles.proto` of opentelemetry-proto 1.10, as a function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

_TABLES = {
    "mapping_index": "mapping_table",
    "location_indices": "location_table",
    "function_index": "function_table",
    "link_index": "link_table",
    "attribute_indices": "attribute_table",
    "stack_index": "stack_table",
}
_ID_BYTES = {"trace_id": 16, "span_id": 8}


def violations(request: Any) -> list[str]:
    """What an export request, or `ProfilesData`, does against the rules; each as a sentence."""
    tables = {
        field.name: list(getattr(request.dictionary, field.name))
        for field in request.dictionary.DESCRIPTOR.fields
    }
    return [
        *_of_tables(tables),
        *_of_references(tables, _references(request)),
        *_of_attributes(request),
        *_of_links(tables["link_table"]),
        *(
            told
            for resource in request.resource_profiles
            for scope in resource.scope_profiles
            for profile in scope.profiles
            for told in _of_profile(profile)
        ),
    ]


def _encoded(entry: Any) -> object:
    return entry if isinstance(entry, str) else entry.SerializeToString(deterministic=True)


def _of_tables(tables: dict[str, list[Any]]) -> Iterator[str]:
    for name, entries in tables.items():
        if not entries:
            yield f"{name} has no zero value"
        elif _encoded(entries[0]) not in {"", b""}:
            yield f"{name}[0] is not the zero value"
        yield from (
            f"{name} has an entry {count} times"
            for count in Counter(map(_encoded, entries)).values()
            if count > 1
        )


def _references(request: Any) -> Counter[tuple[str, int]]:
    """How often each entry of each table is referred to."""
    found: Counter[tuple[str, int]] = Counter()
    waiting = [request]
    while waiting:
        message = waiting.pop()
        for field in message.DESCRIPTOR.fields:
            value = getattr(message, field.name)
            values = list(value) if field.is_repeated else [value]
            table = _TABLES.get(field.name) or ("string_table" if field.name.endswith("_strindex") else None)
            if table is not None:
                found.update((table, index) for index in values)
            elif field.message_type is not None:
                waiting += values if field.is_repeated or message.HasField(field.name) else []
    return found


def _of_references(tables: dict[str, list[Any]], used: Counter[tuple[str, int]]) -> Iterator[str]:
    for table, index in used:
        if not 0 <= index < len(tables[table]):
            yield f"{table}[{index}] is referred to, and is not there"
    for name, entries in tables.items():
        for index in range(1, len(entries)):
            if not used[name, index]:
                yield f"{name}[{index}] is an orphan"


def _of_attributes(request: Any) -> Iterator[str]:
    table = request.dictionary.attribute_table
    for index, entry in enumerate(table):
        if index and not (entry.key_strindex and entry.value.WhichOneof("value")):
            yield f"attribute_table[{index}] has no key or no value"
    owners = [
        *request.dictionary.mapping_table,
        *request.dictionary.location_table,
        *(
            owner
            for resource in request.resource_profiles
            for scope in resource.scope_profiles
            for profile in scope.profiles
            for owner in (profile, *profile.samples)
        ),
    ]
    for owner in owners:
        keys = [table[index].key_strindex for index in owner.attribute_indices if index < len(table)]
        if len(set(keys)) != len(keys) or 0 in owner.attribute_indices:
            yield f"a {owner.DESCRIPTOR.name} has a key twice, or the zero value as an attribute"


def _of_links(links: list[Any]) -> Iterator[str]:
    for index, link in enumerate(links[1:], 1):
        for name, size in _ID_BYTES.items():
            if len(getattr(link, name)) != size or not any(getattr(link, name)):
                yield f"link_table[{index}] has no valid {name}"


def _of_profile(profile: Any) -> Iterator[str]:
    if not profile.sample_type.type_strindex or not profile.sample_type.unit_strindex:
        yield "a profile does not say what its values are"
    if len(profile.profile_id) not in {0, 16} or (profile.profile_id and not any(profile.profile_id)):
        yield "a profile's id is not 16 bytes that are not all zero"
    if bool(profile.original_payload) != bool(profile.original_payload_format):
        yield "a payload and its format are not set together"
    identities = Counter(
        (one.stack_index, frozenset(one.attribute_indices), one.link_index) for one in profile.samples
    )
    yield from (f"{count} samples have the same identity" for count in identities.values() if count > 1)
    shapes = {(bool(one.values), bool(one.timestamps_unix_nano)) for one in profile.samples}
    if len(shapes) > 1:
        yield "samples have several shapes"
    until = profile.time_unix_nano + profile.duration_nano
    for sample in profile.samples:
        values, times = len(sample.values), len(sample.timestamps_unix_nano)
        if not values and not times:
            yield "a sample has neither a value nor a time"
        if values and times and values != times:
            yield f"a sample has {values} values at {times} times"
        if not times and values > 1:
            yield f"a sample without times has {values} values of one type"
        if any(not profile.time_unix_nano <= time < until for time in sample.timestamps_unix_nano):
            yield "a sample's time is not within its profile"
