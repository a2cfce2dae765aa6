"""Rules that need one record and what stands beside it: chain, receipts, rates, path, position, time.

Each yields a `Hit` for every breach; the table in `verdict_rules` says what it means.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterator

from collector.core.place import distance_m
from collector.core.verdict import Hit
from collector.core.verdict_case import Network, Seen, readings
from collector.core.verdict_rules import BANDS, LTE_CATEGORIES, NOT_A_MODEM, RULES
from collector.core.witness import Witness
from wire.records import Reading, TestRecord

_BROKEN = {"broken_chain"}


def of_one(seen: Seen, network: Network) -> Iterator[Hit]:
    """Everything that one record says against itself."""
    yield from _chain(seen)
    yield from _time(seen)
    test = seen.test
    if test is None:
        return
    yield from _receipts(seen, test)
    yield from _source(seen, test, network)
    yield from _speed(test, network)
    yield from _path(seen, test)
    for reading in readings(test):
        yield from _reading(reading)
    yield from _position(seen, test)
    yield from _slot(seen, test)


def _limit(rule: str, name: str) -> int:
    return RULES[rule].limits[name]


def _chain(seen: Seen) -> Iterator[Hit]:
    if seen.fault in _BROKEN or (not seen.in_chain and seen.fault is None):
        yield Hit("chain.broken")
    elif seen.record is None:
        yield Hit("chain.form")
    if "fork" in seen.reasons or seen.fault == "fork":
        yield Hit("chain.fork")


def _time(seen: Seen) -> Iterator[Hit]:
    if seen.t_ms is None:
        yield Hit("time.none")
        return
    error_ms = seen.record.t_err_ms or 0 if seen.record else 0
    ahead_ms = seen.t_ms - seen.received_ms
    if ahead_ms > _limit("clock.future", "slack_ms") + error_ms:
        yield Hit("clock.future", {"ahead_ms": ahead_ms})
    if seen.beacon_ms is not None:
        before_ms = seen.beacon_ms - seen.t_ms - _span_ms(seen)
        if before_ms > _limit("clock.beacon", "slack_ms") + error_ms:
            yield Hit("clock.beacon", {"before_ms": before_ms})


def _span_ms(seen: Seen) -> int:
    """How long after its beginning a record was signed at most: it names the checkpoint known when it was signed."""
    if seen.coverage is not None:
        return seen.coverage.step_ms * len(seen.coverage.states)
    return (seen.test.duration_ms or 0) if seen.test else 0


# --- the second witness -----------------------------------------------------------------------------------------------


def _receipts(seen: Seen, test: TestRecord) -> Iterator[Hit]:
    for witness in seen.witnesses:
        if witness.verdict in ("replayed", "foreign"):
            yield Hit(f"receipt.{witness.verdict}", {"direction": witness.direction})
        elif witness.verdict == "stale":
            yield Hit("receipt.stale", {"direction": witness.direction})
        elif witness.verdict == "differs":
            yield Hit("receipt.fewer", _bytes(witness))
        elif witness.verdict == "missing":
            yield Hit("receipt.missing", {"direction": witness.direction})
        elif witness.verdict == "agrees":
            yield from _late(seen, test, witness)
            yield from _rates(witness)
    moved = [way for way in seen.witnesses if way.probe.bytes]
    if test.outcome in ("ok", "partial") and (not moved or any(way.verdict == "none" for way in moved)):
        yield Hit("receipt.none")


def _bytes(witness: Witness) -> dict[str, int | str]:
    served = witness.server.bytes if witness.server else None
    return {"direction": witness.direction, "claimed_bytes": witness.probe.bytes or 0, "seen_bytes": served or 0}


def _late(seen: Seen, test: TestRecord, witness: Witness) -> Iterator[Hit]:
    """The receipt is signed while the run lasts: how far outside was it?"""
    if seen.t_ms is None or witness.signed_ms is None:
        return
    end_ms = seen.t_ms + (test.duration_ms or 0)
    outside_ms = max(seen.t_ms - witness.signed_ms, witness.signed_ms - end_ms)
    error_ms = test.t_err_ms or 0
    if outside_ms > _limit("receipt.stale", "apart_ms") + error_ms:
        yield Hit("receipt.stale", {"direction": witness.direction, "outside_ms": outside_ms})
    elif test.t_src == "gnss" and outside_ms > _limit("gps.time", "off_ms") + error_ms:
        yield Hit("gps.time", {"outside_ms": outside_ms})


def _rates(witness: Witness) -> Iterator[Hit]:
    """The server's mean begins with the first byte, the probe's after the ramp: leave a ramp out before comparing."""
    told, server = witness.probe.bps, witness.server
    if told is None or server is None or not server.bytes or not server.bps:
        return
    us = server.bytes * 8_000_000 // server.bps
    ramp_us = min(_limit("receipt.rate", "ramp_us"), us // 2)
    at_most = server.bytes * 8_000_000 // max(us - ramp_us, 1)
    figures: dict[str, int | str] = {"direction": witness.direction, "told_bps": told, "seen_bps": server.bps}
    if told * 100 > at_most * (100 + _limit("receipt.rate", "above_percent")):
        yield Hit("receipt.rate", figures)
    elif told * 100 < server.bps * (100 - _limit("receipt.slower", "below_percent")):
        yield Hit("receipt.slower", figures)


def _source(seen: Seen, test: TestRecord, network: Network) -> Iterator[Hit]:
    sources = {source for w in seen.witnesses if w.server and w.server.source for source in w.server.source.split(",")}
    if not sources:
        return
    prefixes = network.prefixes.get(_plmn(test) or "")
    if not prefixes:
        yield Hit("source.unknown")
    elif not all(_inside(source, prefixes) for source in sources):
        yield Hit("source.foreign")


def _plmn(test: TestRecord) -> str | None:
    before = test.radio.before if test.radio else None
    return test.plmn or (before.plmn if before else None)


def _inside(source: str, prefixes: tuple[str, ...]) -> bool:
    try:
        address = ipaddress.ip_address(source.strip().strip("[]"))
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    networks = (ipaddress.ip_network(prefix) for prefix in prefixes)
    return any(address in one for one in networks if one.version == address.version)


# --- rates and path ---------------------------------------------------------------------------------------------------


def _speed(test: TestRecord, network: Network) -> Iterator[Hit]:
    rats = {one.rat for one in readings(test) if one.rat is not None}
    for way, bps in ((0, test.downlink_bps), (1, test.uplink_bps)):
        if bps is None:
            continue
        most = max((_category(rat, way, network) for rat in rats or {"LTE"}), default=0)
        if bps > most:
            yield Hit("speed.category", {"told_bps": bps, "most_bps": most})
        bound = _bound_bps(test)
        if bound is not None and bps > bound * _limit("speed.bound", "times"):
            yield Hit("speed.bound", {"told_bps": bps, "bound_bps": bound})
    if test.path is not None and test.path.rx_bytes + test.path.tx_bytes > 0:
        pairs = ((test.downlink_bytes, test.path.rx_bytes), (test.uplink_bytes, test.path.tx_bytes))
        for claimed, counted in pairs:
            slack = counted * _limit("speed.bytes", "slack_percent") // 100 + _limit("speed.bytes", "slack_bytes")
            if claimed is not None and claimed > counted + slack:
                yield Hit("speed.bytes", {"claimed_bytes": claimed, "counted_bytes": counted})


def _category(rat: str, way: int, network: Network) -> int:
    if rat == "GSM":
        return _limit("speed.category", "gsm_bps")
    if rat == "LTE":
        return LTE_CATEGORIES.get(network.lte_category, LTE_CATEGORIES[4])[way]
    name = "umts" if rat == "UMTS" else "nr"
    return _limit("speed.category", f"{name}_{'uplink' if way else 'downlink'}_bps")


def _bound_bps(test: TestRecord) -> int | None:
    """Shannon's bound by the best SINR around the test; None without a SINR."""
    found = list(readings(test))
    sinrs = [one.sinr_db_x10 for one in found if one.sinr_db_x10 is not None]
    if test.radio is not None and test.radio.during is not None and test.radio.during.sinr_db_x10_median is not None:
        sinrs.append(test.radio.during.sinr_db_x10_median)
    if not sinrs:
        return None
    wide = max((one.bandwidth_khz for one in found if one.bandwidth_khz is not None), default=0)
    khz = wide or _limit("speed.bound", "default_bandwidth_khz")
    return int(khz * 1000 * math.log2(1 + 10 ** (max(sinrs) / 100)))


def _path(seen: Seen, test: TestRecord) -> Iterator[Hit]:
    if test.path is None:
        yield Hit("path.unknown")
    elif test.path.verdict != "ok":
        yield Hit("path.other")
    elif test.path.iface.startswith(NOT_A_MODEM):
        yield Hit("path.iface", {"iface": test.path.iface})
    delays = [w.server.rtt_us_min for w in seen.witnesses if w.server and w.server.rtt_us_min is not None]
    delays += [] if test.rtt_us_min is None else [test.rtt_us_min]
    # What the probe says and what the point's kernel saw: the least of both.
    if delays and min(delays) < _limit("path.rtt", "least_us") and "NR_SA" not in {r.rat for r in readings(test)}:
        yield Hit("path.rtt", {"rtt_us": min(delays)})


def _reading(reading: Reading) -> Iterator[Hit]:
    """Figures that no LTE cell has."""
    if reading.rat not in (None, "LTE"):
        return
    limits = RULES["radio.range"].limits
    rsrq, pci, band, earfcn = reading.rsrq_db_x10, reading.pci, reading.band, reading.earfcn
    if rsrq is not None and not limits["rsrq_min_db_x10"] <= rsrq <= limits["rsrq_max_db_x10"]:
        yield Hit("radio.range", {"rsrq_db_x10": rsrq})
    elif pci is not None and pci > limits["pci_max"]:
        yield Hit("radio.range", {"pci": pci})
    elif band is not None and band in BANDS and earfcn is not None and not BANDS[band][0] <= earfcn <= BANDS[band][1]:
        yield Hit("radio.range", {"earfcn": earfcn, "band": band})
    if reading.ta is not None:
        away_m = reading.ta * _limit("cell.advance", "step_mm") // 1000
        if away_m > _limit("cell.advance", "far_m"):
            yield Hit("cell.advance", {"away_m": away_m})


# --- position and slot ------------------------------------------------------------------------------------------------


def _position(seen: Seen, test: TestRecord) -> Iterator[Hit]:
    off_m = _off_m(seen, test)
    if off_m is None or test.position is None:
        return
    error_m = (test.position.eph_mm or 0) * _limit("gps.off", "errors") // 1000
    if off_m > _limit("gps.far", "off_m") + error_m:
        yield Hit("gps.far", {"off_m": off_m})
    elif off_m > _limit("gps.off", "off_m") + error_m:
        yield Hit("gps.off", {"off_m": off_m})


def _off_m(seen: Seen, test: TestRecord) -> int | None:
    """How far the receiver says to be from the surveyed site; None if it says nothing."""
    position, place = test.position, seen.place
    if position is None:
        return None
    offs = [] if position.surveyed_offset_m is None else [position.surveyed_offset_m]
    site = (place.lat_e7, place.lon_e7) if place is not None else (None, None)
    if None not in (*site, position.lat_e7, position.lon_e7):
        offs.append(int(distance_m(position.lat_e7, position.lon_e7, *site)))  # type: ignore[arg-type]
    return max(offs, default=None)


def _slot(seen: Seen, test: TestRecord) -> Iterator[Hit]:
    if "same_slot" in seen.reasons:
        yield Hit("slot.extra")
    if test.slot_ms is None or test.slot_length_ms is None or seen.t_ms is None or test.trigger != "scheduled":
        return
    slack_ms = _limit("slot.outside", "slack_ms") + (test.t_err_ms or 0)
    if not test.slot_ms - slack_ms <= seen.t_ms <= test.slot_ms + test.slot_length_ms + slack_ms:
        yield Hit("slot.outside", {"outside_ms": seen.t_ms - test.slot_ms})
