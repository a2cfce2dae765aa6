"""Receipts at the collector: kept if a registered point signed them, linked by hash, never counted or in the way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector import export
from collector.core.witness import DIRECTIONS, judge
from tests.collector.door import Door
from tests.collector.kit import ORIGIN, T0_MS, FakeProbe
from tests.collector.postgres import SQLITE_ONLY
from tests.collector.test_web_world import World, get, world
from wire import codec, notes
from wire.note import Signer, sign

POINT = Signer.generate(f"{ORIGIN}/point/hn-1")
OTHER = Signer.generate(f"{ORIGIN}/point/hn-2")
TICKET = "0123456789abcdef"
MB = 1_000_000


def receipt(direction: str, signer: Signer = POINT, **changes: Any) -> bytes:
    """A receipt as a point signs it."""
    fields: dict[str, Any] = {
        "v": 1, "signed_ms": T0_MS + 5000, "ticket": TICKET, "probe": "p-one", "point": "hn-1", "direction": direction,
        "source": "198.51.100.9", "bytes": 7 * MB, "duration_us": 1_500_000, "rate_bps": 37_000_000,
        "rtt_us_min": 51_000,
    }  # fmt: skip
    return notes.seal(notes.Receipt(**(fields | changes)), ORIGIN, signer)


def leaf(raw: bytes) -> str:
    return codec.leaf_text(codec.leaf_hash(raw))


def test_of(probe: FakeProbe, down: bytes | None, up: bytes | None, **changes: Any) -> bytes:
    """The next test record, which names these receipts."""
    named = {
        "engine": "dosong", "ticket": TICKET, "downlink_bytes": 7 * MB, "uplink_bytes": 7 * MB, "duration_ms": 9000,
        "rtt_us_min": 50_000,
        "downlink_receipt": None if down is None else leaf(down), "uplink_receipt": None if up is None else leaf(up),
    }  # fmt: skip
    return probe.test(**(named | changes))


test_of.__test__ = False  # type: ignore[attr-defined]


def points(**changes: Any) -> dict[str, Any]:
    return {"points": [{"code": "hn-1", "vkey": POINT.verifier.vkey, **changes}]}


def verdicts(door: Door, seq: int) -> list[str]:
    """Both directions' verdicts on one record, as the page gets them."""
    sample = door.reader.sample("p-one", 1, seq)
    assert sample is not None
    named = door.reader.receipts(sample)
    return [judge(sample.record, way, named.get(way)).verdict for way in DIRECTIONS]  # type: ignore[arg-type]


@pytest.fixture
def down_up() -> tuple[bytes, bytes]:
    return receipt("downlink"), receipt("uplink")


def test_receipts_travel_before_their_record_and_are_no_records(
    door: Door, one: FakeProbe, down_up: tuple[bytes, bytes]
) -> None:
    door.registry.load(points())
    taken = door.take("p-one", *down_up, test_of(one, *down_up))
    assert (taken.accepted, taken.duplicate, taken.refused) == (1, 0, 0)
    assert verdicts(door, 0) == ["agrees", "agrees"]
    assert door.sql("SELECT count(*) FROM record") == [(1,)]
    assert door.sql("SELECT accepted, duplicate, refused FROM delivery") == [(1, 0, 0)]
    assert door.upto("p-one") == 0
    sample = door.reader.sample("p-one", 1, 0)
    assert sample is not None
    assert sample.counted
    (row,) = export.rows(door.reader)
    assert len(row["receipts"]) == 2


def test_sent_again_they_are_kept_once_and_the_acknowledgement_is_the_same(
    door: Door, one: FakeProbe, down_up: tuple[bytes, bytes]
) -> None:
    door.registry.load(points())
    record = test_of(one, *down_up)
    for accepted, duplicate in ((1, 0), (0, 1), (0, 1)):
        taken = door.take("p-one", *down_up, record)
        assert (taken.accepted, taken.duplicate, taken.refused) == (accepted, duplicate, 0)
        assert taken.heads["p-one"].upto == 0
    assert door.sql("SELECT count(*) FROM receipt") == [(2,)]
    assert verdicts(door, 0) == ["agrees", "agrees"]


def test_a_message_of_receipts_alone_acknowledges_nothing(door: Door, down_up: tuple[bytes, bytes]) -> None:
    door.registry.load(points())
    taken = door.take("p-one", *down_up)
    assert (taken.heads, taken.accepted, taken.refused) == ({}, 0, 0)


def _forged() -> bytes:
    body = receipt("downlink")
    return body.replace(b'"bytes":7000000', b'"bytes":9000000')


FALSE: list[tuple[str, Callable[[], bytes], dict[str, Any], str]] = [
    ("forged", _forged, {}, "bad_signature"),
    ("by a point that nobody registered", lambda: receipt("downlink", OTHER, point="hn-2"), {}, "unknown_key"),
    ("by another point's key", lambda: receipt("downlink", OTHER), {}, "unknown_key"),
    ("a point that speaks for another", lambda: receipt("downlink", point="hn-2"), {}, "unknown_key"),
    ("by a probe", lambda: receipt("downlink", Signer.generate(f"{ORIGIN}/probe/p-one")), {}, "unknown_key"),
    ("after the key was revoked", lambda: receipt("downlink"), {"state": "revoked", "revoked_ms": 1}, "revoked_key"),
    (
        "broken form",
        lambda: sign(f"{codec.domain(ORIGIN, 'receipt')}\n".encode() + b'{"bytes":1}\n', POINT),
        {},
        "schema",
    ),
    ("no note at all", f"{codec.domain(ORIGIN, 'receipt')}\nx\n".encode, {}, "not_a_note"),
]


@pytest.mark.parametrize(("make", "registered", "reason"), [row[1:] for row in FALSE], ids=[row[0] for row in FALSE])
def test_a_false_receipt_is_refused_with_its_reason_and_its_record_stays(
    door: Door, one: FakeProbe, make: Callable[[], bytes], registered: dict[str, Any], reason: str
) -> None:
    door.registry.load(points(**registered))
    false = make()
    taken = door.take("p-one", false, test_of(one, false, None))
    assert (taken.accepted, taken.refused, taken.refused_as) == (1, 1, (reason,))
    assert taken.heads["p-one"].upto == 0, "the record is acknowledged whatever its receipt is"
    assert verdicts(door, 0) == ["missing", "none"]
    assert door.reader.refused_bytes(door.reader.refusals()[0].n) == false
    sample = door.reader.sample("p-one", 1, 0)
    assert sample is not None
    assert sample.counted, "a receipt never changes how a record counts"


def test_authentic_receipts_of_something_else_prove_nothing(door: Door, one: FakeProbe) -> None:
    door.registry.load(points())
    down = receipt("downlink")
    cases = [
        (receipt("downlink", probe="p-two"), {}, "foreign"),
        (receipt("uplink"), {}, "foreign"),  # an uplink's shown for a downlink
        (receipt("downlink", ticket="f" * 16), {}, "foreign"),
        (receipt("downlink", signed_ms=T0_MS - 86_400_000), {}, "stale"),
        (receipt("downlink", bytes=MB), {}, "differs"),
        (down, {}, "agrees"),
        (down, {}, "replayed"),
    ]
    for seq, (raw, changes, expected) in enumerate(cases):
        door.take("p-one", raw, test_of(one, raw, None, t_ms=T0_MS, **changes))
        assert verdicts(door, seq) == [expected, "none"], (seq, expected)


def test_a_receipt_that_comes_late_or_by_another_message_is_linked_by_its_hash(
    door: Door, one: FakeProbe, down_up: tuple[bytes, bytes]
) -> None:
    door.registry.load(points())
    door.take("p-one", test_of(one, *down_up))
    assert verdicts(door, 0) == ["missing", "missing"]
    door.take("p-one", *down_up)
    assert verdicts(door, 0) == ["agrees", "agrees"]


@SQLITE_ONLY
def test_receipts_are_append_only(door: Door, down_up: tuple[bytes, bytes]) -> None:
    door.registry.load(points())
    door.take("p-one", *down_up)
    connection = sqlite3.connect(door.path)
    for statement in ("DELETE FROM receipt", "UPDATE receipt SET ticket = 'x'"):
        with pytest.raises(sqlite3.IntegrityError, match="evidence"):
            connection.execute(statement)
    connection.close()


@pytest.fixture
def here(tmp_path: Path) -> Any:
    with world(tmp_path, **points()) as made:
        yield made


def test_the_page_says_in_both_languages_what_the_server_saw(here: World, down_up: tuple[bytes, bytes]) -> None:
    here.take(*down_up, test_of(here.probe, *down_up))
    here.take(test_of(here.probe, down_up[0], None))
    here.take(here.probe.test(downlink_bytes=MB))
    url = "/samples/p-one/1/{}?lang={}"
    for lang, title, agree, replay, nothing in (
        ("vi", "Máy chủ đo đã thấy gì", "có biên nhận đúng", "bản ghi trước nêu ra", "không có biên nhận"),
        ("en", "What the measurement server saw", "figures agree", "already shown this receipt", "no receipt of the"),
    ):
        page = get(here.client(), url.format(0, lang)).text
        assert title in page
        assert page.count(agree) == 2
        assert "198.51.100.9" not in page, "an address is for those who log in"
        assert replay in get(here.client(), url.format(1, lang)).text
        assert nothing in get(here.client(), url.format(2, lang)).text
        logged_in = get(here.client("operator"), url.format(0, lang)).text
        assert "198.51.100.9" in logged_in
        assert "51" in logged_in
    assert "51,0 ms" in get(here.client("operator"), url.format(0, "vi")).text
