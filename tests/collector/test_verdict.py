"""The rules of verdicts on single records: each rule fires where it should, and nowhere on an honest record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from collector.core.place import Place
from collector.core.verdict import Verdict, Weight, decide, digest
from collector.core.verdict_case import Around, Network, Seen, Trouble
from collector.core.verdict_judge import empty_slots, judge
from collector.core.verdict_rules import RULES
from collector.core.witness import DIRECTIONS, Named
from collector.core.witness import judge as compare
from tests.collector.kit import SLOT_MS, T0_MS, FakeProbe
from wire import codec
from wire.notes import Receipt

HERE = Place("19", "05755", "h-one", "s-one", 215_000_000, 1_058_000_000)
VIETTEL = Network({"45204": ("100.64.0.0/10", "2001:db8::/32")})
TICKET = "0123456789abcdef"
READING = {
    "rat": "LTE", "plmn": "45204", "tac": 16169, "eci": 117004595, "pci": 399, "earfcn": 1650, "band": 3,
    "rsrp_dbm_x10": -910, "rsrq_db_x10": -95, "sinr_db_x10": 120, "bandwidth_khz": 20_000,
}  # fmt: skip
PATH = {
    "verdict": "ok", "iface": "wwan0", "rx_bytes": 8_000_000, "tx_bytes": 4_000_000, "other_rx_bytes": 0,
    "other_tx_bytes": 0, "ifindex_changed": False,
}  # fmt: skip
HONEST: dict[str, Any] = {
    "engine": "dosong", "ticket": TICKET, "duration_ms": 9_000, "downlink_bps": 20_000_000,
    "downlink_bytes": 5_000_000, "downlink_us": 2_000_000, "uplink_bps": 8_000_000, "uplink_bytes": 2_000_000,
    "uplink_us": 2_000_000, "rtt_us_min": 28_000, "path": PATH, "radio": {"before": READING},
    "downlink_receipt": codec.leaf_text(b"\1" * 32), "uplink_receipt": codec.leaf_text(b"\2" * 32),
}  # fmt: skip


def receipt(direction: str, **changes: Any) -> Receipt:
    fields: dict[str, Any] = {
        "v": 1, "signed_ms": T0_MS + 6_000, "ticket": TICKET, "probe": "p-one", "point": "hn-1",
        "direction": direction, "source": "100.70.1.2", "bytes": 6_000_000, "duration_us": 3_000_000,
        "rate_bps": 16_000_000, "rtt_us_min": 27_000,
    }  # fmt: skip
    if direction == "uplink":
        fields |= {"bytes": 2_400_000, "rate_bps": 6_400_000}
    return Receipt(**(fields | changes))


def seen(
    changes: Mapping[str, Any] | None = None,
    receipts: Mapping[str, Any] | None = None,
    *,
    bare: bool = False,
    **beside: Any,
) -> Seen:
    """An honest test with both receipts, but for the changes; `bare`: without receipts."""
    probe = FakeProbe()
    fields = {**HONEST, **(changes or {})}
    if bare:
        fields |= {"downlink_receipt": None, "uplink_receipt": None, "ticket": None}
    record = codec.decode_body(codec.body_of(probe.test(**fields)))
    named = {} if bare else {way: receipt(way, **(receipts or {})) for way in DIRECTIONS}
    is_shown = bool(beside.pop("is_shown", False))
    witnesses = tuple(
        compare(record, way, Named("", named[way], is_shown) if way in named else None)  # type: ignore[arg-type]
        for way in DIRECTIONS
    )
    base: dict[str, Any] = {"n": 1, "received_ms": T0_MS + 20_000, "t_ms": T0_MS, "place": HERE}
    return Seen(record=record, witnesses=witnesses, **(base | beside))


def rules_of(one: Seen, network: Network = VIETTEL, around: Around | None = None) -> tuple[Verdict, set[str]]:
    judged = judge([one], around or Around(), network).judged[one.n]
    return judged.verdict, {hit.rule for hit in judged.hits}


def test_an_honest_test_with_both_receipts_is_proved() -> None:
    assert rules_of(seen()) == (Verdict.PROVED, set())


def test_without_receipts_or_addresses_it_is_plausible_at_most() -> None:
    assert rules_of(seen(bare=True)) == (Verdict.PLAUSIBLE, {"receipt.none"})
    assert rules_of(seen(), Network()) == (Verdict.PLAUSIBLE, {"source.unknown"})


def reading(**changes: Any) -> dict[str, Any]:
    return {"radio": {"before": {**READING, **changes}}}


CASES: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("receipt.replayed", {}, {}, {"is_shown": True}),
    ("receipt.foreign", {}, {"probe": "p-two"}, {}),
    ("receipt.foreign", {}, {"ticket": "fedcba9876543210"}, {}),
    ("receipt.stale", {}, {"signed_ms": T0_MS + 9_000 + 121_000}, {}),
    ("receipt.stale", {}, {"signed_ms": T0_MS - 121_000}, {}),
    ("receipt.stale", {}, {"signed_ms": T0_MS - 86_400_000}, {}),
    ("receipt.fewer", {}, {"bytes": 1_000_000, "rate_bps": 2_600_000}, {}),
    ("receipt.rate", {"downlink_bps": 60_000_000, "downlink_us": 666_666}, {}, {}),
    ("source.foreign", {}, {"source": "203.0.113.7"}, {}),
    ("source.foreign", {}, {"source": "100.70.1.2,203.0.113.7"}, {}),
    ("source.foreign", {}, {"source": "not an address"}, {}),
    ("speed.category", {"downlink_bps": 180_000_000}, {}, {}),
    ("speed.category", {"downlink_bps": 900_000, **reading(rat="GSM")}, {}, {}),
    ("speed.bound", {"downlink_bps": 90_000_000, **reading(sinr_db_x10=-50, bandwidth_khz=10_000)}, {}, {}),
    ("speed.bytes", {"path": {**PATH, "rx_bytes": 900_000}}, {}, {}),
    ("path.iface", {"path": {**PATH, "iface": "wlan0"}}, {}, {}),
    ("path.rtt", {"rtt_us_min": 4_000}, {}, {}),
    ("path.rtt", {}, {"rtt_us_min": 3_000}, {}),
    ("cell.advance", reading(ta=600), {}, {}),
    ("radio.range", reading(pci=700), {}, {}),
    ("radio.range", reading(earfcn=100), {}, {}),
    ("radio.range", reading(rsrq_db_x10=20), {}, {}),
    ("gps.off", {"position": {"source": "surveyed", "surveyed_offset_m": 450, "eph_mm": 8_000}}, {}, {}),
    ("gps.far", {"position": {"source": "gps", "lat_e7": 216_000_000, "lon_e7": 1_058_000_000}}, {}, {}),
    ("gps.time", {"t_src": "gnss"}, {"signed_ms": T0_MS + 9_000 + 3_000}, {}),
    ("clock.future", {}, {"signed_ms": T0_MS}, {"received_ms": T0_MS - 600_000}),
    ("clock.beacon", {}, {}, {"beacon_ms": T0_MS + 3_600_000}),
    ("slot.outside", {"slot_ms": T0_MS - 2 * SLOT_MS - 600_000}, {}, {}),
    ("chain.broken", {}, {}, {"fault": "broken_chain"}),
    ("chain.broken", {}, {}, {"in_chain": False}),
    ("chain.fork", {}, {}, {"reasons": ("fork",)}),
]


@pytest.mark.parametrize(("rule", "changes", "receipts", "beside"), CASES)
def test_each_breach_makes_the_record_suspect_and_names_its_rule(
    rule: str, changes: dict[str, Any], receipts: dict[str, Any], beside: dict[str, Any]
) -> None:
    verdict, rules = rules_of(seen(changes, receipts, **beside))
    assert rule in rules
    assert verdict is Verdict.SUSPECT


def test_what_is_only_said_is_claimed_and_a_neighbour_corroborates_it() -> None:
    failed = {"outcome": "failed", "stage": "connect", "cause": "server_unreachable", "engine": None, "radio": None}
    gone = {name: None for name in HONEST if name not in ("engine", "path", "radio", "duration_ms")}
    lost = seen({**gone, **failed}, bare=True)
    assert rules_of(lost) == (Verdict.CLAIMED, {"claim.alone"})
    same = Around(troubles=(Trouble(T0_MS - 60_000, T0_MS + 60_000, "45204"),))
    assert rules_of(lost, around=same) == (Verdict.CORROBORATED, {"other.trouble"})
    for elsewhere in (Trouble(T0_MS, T0_MS, "45202"), Trouble(T0_MS + 7_200_000, T0_MS + 7_300_000, "45204")):
        assert rules_of(lost, around=Around(troubles=(elsewhere,)))[0] is Verdict.CLAIMED


def test_a_success_that_comes_days_late_without_a_receipt_is_claimed() -> None:
    late = {"received_ms": T0_MS + 40 * 3_600_000}
    assert rules_of(seen(bare=True, **late))[0] is Verdict.CLAIMED
    assert rules_of(seen(**late)) == (Verdict.PROVED, set())


def test_a_simulated_record_has_no_air_and_proves_nothing() -> None:
    verdict, rules = rules_of(seen({"simulated": True, "rtt_us_min": 300}, {"source": "203.0.113.7"}))
    assert (verdict, rules) == (Verdict.PLAUSIBLE, {"made.simulated"})
    assert rules_of(seen({"simulated": True}, is_shown=True))[0] is Verdict.SUSPECT


def test_an_undated_record_is_claimed() -> None:
    assert rules_of(seen({"t_ms": None, "clock": "unsynced"}, t_ms=None))[0] is Verdict.CLAIMED


def test_a_passed_slot_without_a_record_is_told() -> None:
    def at(slot: int, n: int) -> Seen:
        start = T0_MS + slot * SLOT_MS
        return replace(seen({"slot_ms": start, "t_ms": start}, bare=True), n=n, t_ms=start)

    found = empty_slots([at(slot, n) for n, slot in enumerate((0, 1, 4, 5), 1)], T0_MS * 2)
    assert [(one.slot_ms - T0_MS) // SLOT_MS for one in found] == [2, 3]
    assert {one.why for one in found} == {"none"}


def test_every_rule_is_told_in_both_languages_and_the_table_has_one_digest() -> None:
    for rule in RULES.values():
        assert rule.vi.endswith(".")
        assert rule.en.endswith(".")
        assert rule.vi != rule.en
        assert all(isinstance(value, int) for value in rule.limits.values())
    changed = {**RULES, "path.rtt": replace(RULES["path.rtt"], limits={"least_us": 9_999})}
    assert digest(RULES) == digest(dict(RULES))
    assert digest(RULES) != digest(changed)
    assert decide((), RULES, is_claim=False).verdict is Verdict.PROVED
    assert {rule.weight for rule in RULES.values()} == set(Weight)


def test_a_handful_of_made_up_readings_by_turns_is_told_and_a_still_site_is_not() -> None:
    def month(values: list[tuple[int, int]]) -> dict[int, bool]:
        records, probe = [], FakeProbe()
        for n, (rsrp, rsrq) in enumerate(values, 1):
            start = T0_MS + n * SLOT_MS
            fields = {**HONEST, "t_ms": start, "slot_ms": start, "mono_ms": start - T0_MS, "downlink_receipt": None}
            level = {"rsrp_dbm_x10": rsrp, "rsrq_db_x10": rsrq, "sinr_db_x10": None}
            fields |= {"radio": {"before": {**READING, **level}}, "uplink_receipt": None, "ticket": None}
            record = codec.decode_body(codec.body_of(probe.test(**fields)))
            records.append(Seen(n=n, received_ms=start + 20_000, t_ms=start, record=record, place=HERE))
        return {n: one.is_suspect for n, one in judge(records, Around(), VIETTEL).judged.items()}

    few = [(-910, -95), (-870, -80)]
    assert all(month([few[(at * at // 3) % 2] for at in range(60)]).values())
    dice = Random(1)
    still = [(-910 + 10 * dice.randrange(-1, 2), -95 + 10 * dice.randrange(-1, 2)) for _ in range(60)]
    assert not any(month(still).values())
