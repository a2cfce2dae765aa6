"""Records: what is sealed opens to itself, what is altered is refused, what is broken is named and never crashes."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect as mi
from msgspec.structs import replace

from tests.wire import make_golden
from tests.wire.hostile import GOOD, HOSTILE, UNAUTHENTIC
from tests.wire.strategies import greatest, records
from wire import bundle, canon, codec, failure, note
from wire.errors import Misconfigured, Refused
from wire.records import KINDS, AnyRecord, Polls, TestRecord

ORIGIN, PROBE = make_golden.ORIGIN, make_golden.PROBE
KEY = make_golden.signer(f"probe/{PROBE}")
CHAIN = make_golden.chain()
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def _opened(raw: bytes, probe: str = PROBE) -> codec.Opened:
    return codec.open_record(raw, ORIGIN, probe, KEY.verifier)


def _signed(body: bytes) -> bytes:
    return note.sign(f"{ORIGIN}/sample/v1\n".encode() + body + b"\n", KEY)


@pytest.mark.parametrize("kind", KINDS)
@given(choice=st.data())
@QUICK
def test_any_valid_record_opens_to_itself_and_is_made_again(kind: str, choice: st.DataObject) -> None:
    record = choice.draw(records(kind))
    key = note.Signer.from_seed(codec.probe_key_name(ORIGIN, record.probe), bytes(32))
    raw = codec.seal(record, ORIGIN, key)
    opened = codec.open_record(raw, ORIGIN, record.probe, key.verifier)
    assert opened.fault is None
    assert opened.record is not None
    assert _without_extras(opened.record) == _without_extras(record)
    assert codec.seal(opened.record, ORIGIN, key) == raw
    assert opened.head == codec.Head(record.probe, record.epoch, record.seq, record.prev)
    assert canon.encode(canon.decode(codec.body_of(raw))) == codec.body_of(raw)
    assert len(raw) <= codec.MAX_RECORD_BYTES


def _without_extras(record: AnyRecord) -> AnyRecord:
    """Leave out what `seal` may leave out of a record that would be too big."""
    if not isinstance(record, TestRecord):
        return record
    radio = None if record.radio is None else replace(record.radio, raw=None)
    return replace(record, radio=radio, series_step_ms=None, downlink_series_bytes=None, uplink_series_bytes=None)


def test_small_test_record_keeps_its_series_and_raw_line() -> None:
    opened = _opened(CHAIN["test-ok-dosong"])
    assert isinstance(opened.record, TestRecord)
    assert len(opened.record.downlink_series_bytes or ()) == 10
    failed = _opened(CHAIN["test-failed"]).record
    assert isinstance(failed, TestRecord)
    assert failed.radio is not None
    assert failed.radio.raw is not None


@pytest.mark.parametrize("kind", KINDS)
def test_record_with_the_greatest_value_of_every_field_fits(kind: str) -> None:
    origin = "o" * 64
    record: Any = msgspec.convert(greatest(mi.type_info(KINDS[kind])), KINDS[kind])
    record = replace(record, seq=999_999_999_999, clock="unsynced")
    if kind in {"test", "event"}:
        words = {"stage": max(failure.Stage, key=len).value, "cause": max(failure.Cause, key=len).value}
        record = replace(record, **words)
    key = note.Signer.from_seed(codec.probe_key_name(origin, record.probe), bytes(32))
    raw = codec.seal(record, origin, key)
    print(f"greatest {kind} record: {len(raw)} of {codec.MAX_RECORD_BYTES} bytes")
    assert len(raw) <= codec.MAX_RECORD_BYTES
    assert codec.open_record(raw, origin, record.probe, key.verifier).fault is None


def test_extras_are_left_out_in_their_order() -> None:
    full = make_golden.full_test(2)
    assert full.radio is not None
    series = replace(full, series_step_ms=100, downlink_series_bytes=(123_456_789,) * 100)
    both = replace(series, radio=replace(full.radio, raw="x" * 512))
    kept = _opened(codec.seal(series, ORIGIN, KEY)).record
    assert kept == series
    shed = _opened(codec.seal(both, ORIGIN, KEY)).record
    assert isinstance(shed, TestRecord)
    assert shed == replace(both, series_step_ms=None, downlink_series_bytes=None)


def test_typical_sizes_are_as_decided() -> None:
    typical = len(CHAIN["test-ok"])
    print(f"typical full test record: {typical} bytes; hourly coverage: {len(CHAIN['coverage'])}")
    assert 2_000 < typical < 3_000
    assert len(CHAIN["coverage"]) < 1_400


def _flip(raw: bytes, bit: int) -> bytes:
    altered = bytearray(raw)
    altered[bit // 8] ^= 1 << bit % 8
    return bytes(altered)


def _assert_unauthentic(raw: bytes) -> None:
    with pytest.raises(Refused) as caught:
        _opened(raw)
    assert caught.value.reason in failure.UNAUTHENTIC


def test_every_flipped_bit_of_a_record_is_refused() -> None:
    raw = CHAIN["event-outage"]
    for bit in range(len(raw) * 8):
        _assert_unauthentic(_flip(raw, bit))


@pytest.mark.parametrize("name", CHAIN)
@given(choice=st.data())
@settings(max_examples=40, deadline=None)
def test_flipped_bits_of_the_other_records_are_refused(name: str, choice: st.DataObject) -> None:
    raw = CHAIN[name]
    _assert_unauthentic(_flip(raw, choice.draw(st.integers(0, len(raw) * 8 - 1))))


@given(st.sampled_from(sorted(CHAIN)), st.integers(0, 3000), st.integers(0, 50), st.binary(max_size=20))
@settings(max_examples=200, deadline=None)
def test_any_cut_or_insertion_is_refused(name: str, at: int, out: int, into: bytes) -> None:
    raw = CHAIN[name]
    altered = raw[:at] + into + raw[at + out :]
    if altered != raw:
        _assert_unauthentic(altered)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json_without_a_good_signature_is_refused(name: str) -> None:
    body, _ = HOSTILE[name]
    signed = _signed(GOOD)
    _assert_unauthentic(signed.replace(GOOD, body))
    _assert_unauthentic(body)
    _assert_unauthentic(_signed(body).replace(b"/probe/p-dong", b"/probe/p-dang"))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json_with_a_good_signature_is_a_fault(name: str) -> None:
    body, reasons = HOSTILE[name]
    opened = _opened(_signed(body))
    assert opened.record is None
    assert opened.fault is not None
    assert opened.fault.reason in reasons
    assert opened.fault.reason not in failure.UNAUTHENTIC
    assert opened.fault.reason in {reason.value for reason in failure.RefusalReason}
    if name != "other probe":
        with pytest.raises(Refused):
            codec.decode_body(body)


@pytest.mark.parametrize(
    "name", ["unknown key", "space inside", "null that is known", "float", "keys in another order"]
)
def test_head_is_read_from_a_faulty_record(name: str) -> None:
    body = HOSTILE[name][0]
    opened = _opened(_signed(body))
    if name == "null that is known":
        assert opened.head is None, "a key that stands twice could mean either"
    else:
        assert opened.head is not None
        assert (opened.head.epoch, opened.head.seq) == (1, 12)


@pytest.mark.parametrize(
    "name", ["key twice", "lone surrogate in prev", "boolean for a number", "other probe", "NaN", "BOM"]
)
def test_head_is_not_guessed(name: str) -> None:
    assert _opened(_signed(HOSTILE[name][0])).head is None


@pytest.mark.parametrize("name", UNAUTHENTIC)
def test_bytes_that_no_note_can_hold_are_refused_even_if_signed(name: str) -> None:
    _assert_unauthentic(_signed(UNAUTHENTIC[name]))
    _assert_unauthentic(UNAUTHENTIC[name])


@given(st.binary(max_size=600))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_refused_or_a_fault(body: bytes) -> None:
    _assert_unauthentic(body)
    opened = _opened_or_no_note(body)
    assert opened is None or opened.fault is not None


def _opened_or_no_note(body: bytes) -> codec.Opened | None:
    """Open `body` under a good signature; None if it holds what no note can hold."""
    try:
        return _opened(_signed(body))
    except Refused as refusal:
        if refusal.reason != "not_a_note":
            raise
        return None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from([*TestRecord.__struct_fields__, "kind", "other"]), JSON))
@settings(max_examples=200, deadline=None)
def test_any_json_is_a_fault(obj: dict[str, Any]) -> None:
    body = json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    raw = _signed(body)
    if len(raw) <= codec.MAX_RECORD_BYTES:
        assert _opened(raw).fault is not None


@given(st.sampled_from(sorted(CHAIN)), st.data())
@settings(max_examples=200, deadline=None)
def test_any_change_of_a_signed_field_is_read_or_named(name: str, choice: st.DataObject) -> None:
    obj = canon.decode(codec.body_of(CHAIN[name]))
    key = choice.draw(st.sampled_from(sorted(obj)))
    obj[key] = choice.draw(st.integers(-(2**53), 2**53) | st.text(max_size=50) | st.booleans() | st.none())
    body = json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    opened = _opened_or_no_note(body)
    if opened is None:
        return
    assert (opened.record is None) == (opened.fault is not None)
    if opened.record is not None:
        assert msgspec.json.encode(opened.record, order="sorted") == body


@pytest.mark.parametrize(
    ("name", "changes", "rule"),
    [
        ("test-ok", {"prev": ""}, "prev is empty"),
        ("boot", {"prev": "A" * 43 + "="}, "prev is empty"),
        ("test-ok", {"t_ms": None}, "dates its record"),
        ("test-ok", {"beacon_root": None}, "beacon"),
        ("test-ok", {"cause": "reset"}, "stage and a cause"),
        ("test-ok", {"stage": "uplink"}, "stage and a cause"),
        ("test-failed", {"cause": None}, "stage and a cause"),
        ("test-failed", {"stage": None}, "stage and a cause"),
        ("test-failed", {"cause": "rain"}, "vocabulary"),
        ("test-failed", {"stage": "roof"}, "vocabulary"),
        ("test-ok", {"position": replace(make_golden.POSITION, lon_e7=None)}, "both coordinates"),
        ("coverage", {"causes": "."}, "one cause letter"),
        ("coverage", {"states": "CN", "causes": ".."}, "has its cause"),
        ("coverage", {"states": "CN", "causes": "zr"}, "has its cause"),
        ("coverage", {"states": "CN", "causes": ".y"}, "unknown cause letter"),
        ("coverage", {"polls": (1, 2, 3)}, "schema"),
        ("event-clock-set", {"set_t_ms": None}, "clock_set"),
        ("event-outage", {"cause": "rain"}, "vocabulary"),
        ("gap", {"from_seq": 12}, "first to its last"),
    ],
)
def test_rules_between_fields(name: str, changes: dict[str, Any], rule: str) -> None:
    record: Any = _opened(CHAIN[name]).record
    with pytest.raises(Refused, match=rule) as caught:
        codec.seal(replace(record, **changes), ORIGIN, KEY)
    assert caught.value.reason == "schema"


def test_a_record_of_another_purpose_origin_or_key_is_refused() -> None:
    record = _opened(CHAIN["boot"]).record
    assert record is not None
    other = codec.seal(record, "other.example", KEY)
    ack = note.sign(f"{ORIGIN}/ack/v1\n".encode() + GOOD + b"\n", KEY)
    twice = note.sign(f"{ORIGIN}/sample/v1\n".encode() + GOOD + b"\n", KEY, KEY)
    stranger = codec.seal(record, ORIGIN, note.Signer.from_seed(KEY.name, bytes(32)))
    reasons = ("wrong_domain", "wrong_domain", "not_a_note", "unknown_key")
    for raw, reason in zip((other, ack, twice, stranger), reasons, strict=True):
        with pytest.raises(Refused) as caught:
            _opened(raw)
        assert caught.value.reason == reason


def test_body_of_forgives_nothing_that_the_check_refuses() -> None:
    raw = _signed(GOOD + b"\n")
    assert _opened(raw).fault is not None
    assert codec.body_of(raw) == GOOD + b"\n"
    with pytest.raises(Refused):
        codec.decode_body(codec.body_of(raw))


@pytest.mark.parametrize("origin", ["", "Dosong.example", "a b", "o" * 65, "a/b", "a\n"])
def test_origin_that_could_not_fit_is_misconfigured(origin: str) -> None:
    with pytest.raises(Misconfigured):
        codec.domain(origin, "sample")


def test_values_that_the_schema_forbids_are_not_sealed() -> None:
    record: Any = _opened(CHAIN["test-ok"]).record
    for changes in (
        {"downlink_bps": -1},
        {"fw": "é"},
        {"radio": replace(record.radio, during=Polls(polls=-1, polls_registered=0))},
    ):
        with pytest.raises(Refused):
            codec.seal(replace(record, **changes), ORIGIN, KEY)


def test_peek_names_the_key() -> None:
    assert codec.peek_key_name(CHAIN["boot"]) == f"{ORIGIN}/probe/{PROBE}"
    assert codec.take(CHAIN["boot"]).signatures[0].key_id == KEY.verifier.key_id
    with pytest.raises(Refused):
        codec.peek_key_name(b"x" * 5000)
    assert base64.b64decode(codec.leaf_text(codec.leaf_hash(b""))) == codec.leaf_hash(b"")
    assert bundle.MAX_RECORD_BYTES == codec.MAX_RECORD_BYTES
