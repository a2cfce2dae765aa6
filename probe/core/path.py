"""Proof of path: did a test's bytes go by the modem, by it alone? Judged from the kernel's counters.

Source: facts note 05 §2.5; design §5 "Path".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LOOPBACK = "lo"
OTHER_SHARE_PPM = 20_000
"""Other interfaces must move less than this share (2 %) of the payload."""

OTHER_FLOOR_BYTES = 65_536
"""What others may move besides a test without payload: a router's and a neighbour's chatter."""


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """One interface at one instant: bytes since it exists. `up` means up and with carrier."""

    iface: str
    ifindex: int
    rx_bytes: int
    tx_bytes: int
    up: bool


@dataclass(frozen=True, slots=True)
class PathProof:
    """The verdict and the bytes it rests on, all of them differences between after and before.

    `verdict` is `ok`, `invalid_path` (the payload did not go by the modem) or `invalid_isolation` (it did, and
    others carried too much besides). `rx_bytes`, `tx_bytes` are the modem interface's; None if it was missing
    before or after. `other_*` sum all interfaces except the modem's and loopback.
    """

    verdict: str
    rx_bytes: int | None
    tx_bytes: int | None
    other_rx_bytes: int
    other_tx_bytes: int
    ifindex_changed: bool


def judge(
    before: tuple[LinkCounters, ...],
    after: tuple[LinkCounters, ...],
    modem_iface: str,
    payload_rx_bytes: int,
    payload_tx_bytes: int,
    *,
    expected_modem: bool,
) -> PathProof:
    """Compare counters around a test with the payload that the test says it moved.

    `expected_modem` False means that no modem was there to be used (demonstration on loopback): never valid.
    A test without payload has nothing to prove: it is `ok` unless others moved more than 64 KiB.
    """
    old = {link.iface: link for link in before}
    new = {link.iface: link for link in after}
    moved = _moved(old.get(modem_iface), new.get(modem_iface))
    other_rx, other_tx = _others(old, new, modem_iface)
    replaced = modem_iface in old and (modem_iface not in new or old[modem_iface].ifindex != new[modem_iface].ifindex)
    usable = expected_modem and modem_iface != LOOPBACK
    if not usable:
        verdict = "invalid_path"
    elif payload_rx_bytes == 0 and payload_tx_bytes == 0:
        verdict = "ok" if max(other_rx, other_tx) <= OTHER_FLOOR_BYTES else "invalid_isolation"
    elif replaced or moved is None or moved[0] < payload_rx_bytes or moved[1] < payload_tx_bytes:
        verdict = "invalid_path"
    else:
        quiet = _is_quiet(other_rx + other_tx, payload_rx_bytes + payload_tx_bytes)
        verdict = "ok" if quiet else "invalid_isolation"
    rx_bytes, tx_bytes = moved or (None, None)
    return PathProof(verdict, rx_bytes, tx_bytes, other_rx, other_tx, replaced)


def _moved(old: LinkCounters | None, new: LinkCounters | None) -> tuple[int, int] | None:
    if old is None or new is None:
        return None
    return _delta(old, new)


def _delta(old: LinkCounters | None, new: LinkCounters) -> tuple[int, int]:
    """Bytes moved; an interface that was replaced or set back has moved all that it shows now."""
    if old is None or old.ifindex != new.ifindex or new.rx_bytes < old.rx_bytes or new.tx_bytes < old.tx_bytes:
        return new.rx_bytes, new.tx_bytes
    return new.rx_bytes - old.rx_bytes, new.tx_bytes - old.tx_bytes


def _others(old: Mapping[str, LinkCounters], new: Mapping[str, LinkCounters], modem_iface: str) -> tuple[int, int]:
    moved = [_delta(old.get(name), link) for name, link in new.items() if name not in (modem_iface, LOOPBACK)]
    return sum(rx for rx, _ in moved), sum(tx for _, tx in moved)


def _is_quiet(other_bytes: int, payload_bytes: int) -> bool:
    return other_bytes * 1_000_000 < payload_bytes * OTHER_SHARE_PPM
