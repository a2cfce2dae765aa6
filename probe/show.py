"""What `once` and `status` print for a person: figures with their units, failures with their cause."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from wire.records import TestRecord

_LOCAL = timezone(timedelta(hours=7))


def test(record: TestRecord) -> str:
    """Return the readable lines of one test."""
    lines = [_verdict(record)]
    lines += _pair("downlink", _rate(record.downlink_bps), _size(record.downlink_bytes))
    lines += _pair("uplink", _rate(record.uplink_bps), _size(record.uplink_bytes))
    if record.rtt_us_median is not None:
        lines += _pair(
            "delay", f"{record.rtt_us_median / 1000:.1f} ms", f"{record.rtt_received}/{record.rtt_sent} echoes"
        )
    lines += _radio(record) + _path(record)
    if record.position is not None and record.position.lat_e7 is not None and record.position.lon_e7 is not None:
        at = f"{record.position.lat_e7 / 1e7:.6f}, {record.position.lon_e7 / 1e7:.6f}"
        lines += _pair("position", at, record.position.source)
    return "\n".join(lines)


def when(t_ms: int | None) -> str:
    """Return a moment in Vietnamese time; "undated" for None."""
    if t_ms is None:
        return "undated"
    return datetime.fromtimestamp(t_ms / 1000, UTC).astimezone(_LOCAL).strftime("%Y-%m-%d %H:%M:%S +07")


def log_line(log: Mapping[str, Any]) -> str:
    """Return what a probe knows of the log (`probe.beacon.Standing`), in one line."""
    known = f"size {log['size']} of {log['log']}, heard {when(log['heard_ms'])}"
    match log["word"]:
        case "no_key":
            return "not followed: log_vkey is not in the settings; see docs/reliability.md, records name no checkpoint"
        case "none":
            return "no checkpoint heard yet"
        case "conflict":
            return f"CONTRADICTS ITSELF: both notes are in {log['folder']}; give them to the office; {known}"
    return known


def _verdict(record: TestRecord) -> str:
    tail = "" if record.cause is None else f": stopped at {record.stage}, cause {record.cause}"
    return f"{record.modem} {when(record.t_ms)} {record.outcome}{tail}"


def _radio(record: TestRecord) -> list[str]:
    reading = record.radio.before if record.radio else None
    if reading is None:
        return []
    level = "" if reading.rsrp_dbm_x10 is None else f", RSRP {reading.rsrp_dbm_x10 / 10:.0f} dBm"
    band = "" if reading.band is None else f", band {reading.band}"
    return _pair("radio", f"{reading.rat or 'unknown'} {reading.registration or 'unknown'}{level}{band}", "")


def _path(record: TestRecord) -> list[str]:
    if record.path is None:
        return []
    others = record.path.other_rx_bytes + record.path.other_tx_bytes
    return _pair("path", f"{record.path.verdict} by {record.path.iface}", f"other links moved {_size(others)}")


def _pair(name: str, value: str, remark: str) -> list[str]:
    if not value:
        return []
    return [f"  {name:<9}{value}" + (f"  ({remark})" if remark else "")]


def _rate(bps: int | None) -> str:
    return "" if bps is None else f"{bps / 1e6:.2f} Mbit/s"


def _size(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:.2f} MB"
