"""Messages and topics: what goes in comes out, and nothing else does."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wire import bundle, topics
from wire.errors import Refused

RECORDS = st.lists(st.binary(min_size=1, max_size=bundle.MAX_RECORD_BYTES), min_size=1, max_size=11)
PROBES = st.from_regex(rf"^{topics.PROBE_PATTERN}\Z")


@given(RECORDS)
@settings(max_examples=50, deadline=None)
def test_bundle_comes_back(records: list[bytes]) -> None:
    assert bundle.decode(bundle.encode(records)) == tuple(records)
    assert tuple(bundle.frames(bundle.encode(records) * 9)) == tuple(records) * 9


@given(st.lists(st.binary(min_size=1, max_size=4096), max_size=100))
@settings(max_examples=50, deadline=None)
def test_fill_takes_as_many_as_fit_and_no_more(records: list[bytes]) -> None:
    count = bundle.fill(records)
    assert (count > 0) == bool(records)
    if count:
        bundle.encode(records[:count])
    if 0 < count < min(len(records), bundle.MAX_RECORDS):
        with pytest.raises(ValueError, match="at most"):
            bundle.encode(records[: count + 1])


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_whole_records_or_refused(payload: bytes) -> None:
    try:
        records = bundle.decode(payload)
    except Refused as refusal:
        assert refusal.reason == "bad_bundle"  # noqa: PT017 (both ends are expected)
    else:
        assert bundle.encode(records) == payload


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x00", b"\x00\x00", b"\x00\x02a", b"\x00\x01ab", b"\x00\x01a" * 65, b"\x10\x00" + b"a" * 4096 * 12],
)
def test_broken_frames_are_refused(payload: bytes) -> None:
    with pytest.raises(Refused) as caught:
        bundle.decode(payload)
    assert caught.value.reason == "bad_bundle"


@pytest.mark.parametrize("records", [[], [b"a"] * 65, [b""], [b"a" * 4096] * 12, [b"a" * 70_000]])
def test_what_cannot_be_read_is_not_framed(records: list[bytes]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (several sentences)
        bundle.encode(records)


@given(PROBES)
def test_topics_come_back(probe: str) -> None:
    assert topics.parse_up(topics.up(probe)) == probe
    assert topics.parse_status(topics.status(probe)) == probe
    assert 0 <= topics.part(probe) < topics.PARTS
    assert re.fullmatch(r"dosong/v1/(ack|config)/[a-z0-9-]{3,32}", topics.ack(probe))
    assert topics.config(probe).startswith("dosong/v1/config/")
    assert topics.up(probe).startswith(topics.up_filter(topics.part(probe))[:-1])


def test_part_is_six_bits_of_the_hash() -> None:
    assert topics.up("p-dong-chuoi") == "dosong/v1/up/56/p-dong-chuoi"


@pytest.mark.parametrize(
    "topic",
    [
        "dosong/v1/up/57/p-dong-chuoi",
        "dosong/v1/up/056/p-dong-chuoi",
        "dosong/v1/up/56/p-dong-chuoi/x",
        "dosong/v1/up/56/p-dong-chuoi\n",
        "dosong/v1/up/56/P-dong-chuoi",
        "dosong/v1/up/56/-dong-chuoi",
        "dosong/v1/up/٥٦/p-dong-chuoi",
        "dosong/v2/up/56/p-dong-chuoi",
        "x/dosong/v1/up/56/p-dong-chuoi",
        "",
    ],
)
def test_other_topics_are_refused(topic: str) -> None:
    with pytest.raises(Refused) as caught:
        topics.parse_up(topic)
    assert caught.value.reason == "wrong_topic"
    with pytest.raises(Refused):
        topics.parse_status(topic)
