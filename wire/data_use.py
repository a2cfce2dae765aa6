"""How much of a SIM's data tests and their upkeep will take: pure prediction, for both sides.

A test moves bytes for as long as its ramp and its window last, at the link's rate, and then what still waits in the
queue: it was sent before anyone could say stop. So bytes are rate x time, and only the window depends on how steady the
link is: a second on a steady one, the rest of the cap on one that never settles. Headers and acknowledgements come
on top.
Checked against kernel counters by `make bench-month`.
Source: facts note 03 §3, §5 (rules 4, 5, 7); design §5 (Budget).
"""

from __future__ import annotations

from dataclasses import dataclass

FULL_BIN_US = 100_000
LEAST_WINDOW_US = 1_000_000
LEAST_DOWNLINK_BYTES, LEAST_UPLINK_BYTES = 400_000, 700_000
"""The engine's own: width of a bin of a full link's ramp, the shortest window, the fewest bytes that it must hold."""
PACKET_BYTES, PAYLOAD_BYTES = 1500, 1448
ACK_PPM = 18_000
"""Acknowledgements on the way back: 52 bytes for every two packets, fewer where the kernel joins packets."""
RAMP_US = 3 * FULL_BIN_US
"""The usual ramp: two bins that differ little, once a queue stands. Slow start fills it in part."""
EXCHANGE_BYTES = 12_000
"""Ticket, forty echoes both ways, two receipts, connections' handshakes, headers included."""
ECHO_BYTES = 2 * (20 + 8 + 28)
"""One echo of a coverage step and its answer."""
RECORD_BYTES = 2_600
"""One coverage record on its way and its acknowledgement back: TLS, TCP, MQTT."""
TEST_RECORD_BYTES = 6_000
"""One test record with two receipts, and the acknowledgement."""
PING_BYTES = 2 * (2 + 22 + 52) + 52
"""A keep-alive of the broker's connection, its answer, and the acknowledgement of that."""
BEACON_EVERY_S = 9000
BEACON_BYTES = 900
"""The log's newest checkpoint, asked for and left again, headers and acknowledgements included; and how often."""
HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Link:
    """What a link gives: payload bit/s each way, its round trip, and how long its queue is when full.

    `window_us` is how long windows have been of late (the records' `downlink_us`, `uplink_us`); None: a steady link,
    for which the shortest window is enough.
    """

    downlink_bps: int
    uplink_bps: int
    rtt_us: int = 50_000
    queue_us: int = 250_000
    downlink_window_us: int | None = None
    uplink_window_us: int | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """A test's limits, as the engine is asked: seconds of 0 leave a direction out, None is no limit of bytes."""

    downlink_s: int = 10
    uplink_s: int = 10
    cap_us: int = 5_000_000
    most_downlink_bytes: int | None = None
    most_uplink_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What goes on beside tests: steps of coverage with an echo each, `steps` of them a record, pings of the broker."""

    step_s: int = 60
    steps: int = 60
    keepalive_s: int = 120


def bytes_of_test(link: Link, terms: Terms) -> int:
    """Bytes, both directions together, that one test of our engine moves over the link's counters."""
    down = _direction_bytes(
        link, link.downlink_bps, link.downlink_window_us, terms.downlink_s, terms.cap_us, LEAST_DOWNLINK_BYTES
    )
    up = _direction_bytes(
        link, link.uplink_bps, link.uplink_window_us, terms.uplink_s, terms.cap_us, LEAST_UPLINK_BYTES
    )
    down, up = _limited(down, terms.most_downlink_bytes), _limited(up, terms.most_uplink_bytes)
    return (down + up) * (1_000_000 + ACK_PPM) // 1_000_000 + EXCHANGE_BYTES


def bytes_of_upkeep(upkeep: Upkeep, hours: int) -> int:
    """Bytes of `hours` without a test: echoes, coverage records with acknowledgements, keep-alives, checkpoints."""
    steps = HOUR_S // upkeep.step_s
    pings = HOUR_S // upkeep.keepalive_s
    checkpoints = hours * HOUR_S // BEACON_EVERY_S * BEACON_BYTES
    return hours * (steps * ECHO_BYTES + -(-steps // upkeep.steps) * RECORD_BYTES + pings * PING_BYTES) + checkpoints


def bytes_of_month(link: Link, terms: Terms, upkeep: Upkeep, tests: int, days: int = 30) -> int:
    """Bytes of a month: its tests, their records, and all that goes on beside them."""
    return tests * (bytes_of_test(link, terms) + TEST_RECORD_BYTES) + bytes_of_upkeep(upkeep, days * 24)


def _direction_bytes(link: Link, bps: int, window_us: int | None, seconds: int, cap_us: int, least_bytes: int) -> int:
    """Bytes of one direction on the link, headers included: ramp, window and what waits in the queue at the end."""
    if seconds <= 0 or bps <= 0:
        return 0
    shortest_us = max(LEAST_WINDOW_US, least_bytes * 8_000_000 // bps)
    longest_us = max(min(cap_us, seconds * 1_000_000), RAMP_US + LEAST_WINDOW_US)
    # The queue fills while the ramp lasts, and what is in it at the end still comes: it stands for the slow start.
    busy_us = min(RAMP_US + (window_us or shortest_us), longest_us) + link.queue_us - 2 * link.rtt_us
    return bps * busy_us // 8_000_000 * PACKET_BYTES // PAYLOAD_BYTES


def _limited(moved: int, most: int | None) -> int:
    return moved if most is None else min(moved, most)
