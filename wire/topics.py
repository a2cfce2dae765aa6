"""Topic names of version 1, and the partition that a probe's topic must name.

up:         dosong/v1/up/<part>/<probe>    probe to collector, 1 to 64 records, QoS 1
ack:        dosong/v1/ack/<probe>          collector to probe, retained, signed
config:     dosong/v1/config/<probe>       collector to probe, retained, signed
status:     dosong/v1/status/<probe>       probe's retained last will: liveness for the operator, never evidence
checkpoint: dosong/v1/checkpoint           collector to all, retained, signed
"""

from __future__ import annotations

import re
from hashlib import sha256

from wire.errors import Refused

PARTS = 64
QOS = 1
CHECKPOINT = "dosong/v1/checkpoint"
UP_FILTER = "dosong/v1/up/#"
STATUS_FILTER = "dosong/v1/status/+"
PROBE_PATTERN = r"[a-z0-9][a-z0-9-]{2,31}"
_UP = re.compile(r"dosong/v1/up/(0|[1-9][0-9]?)/(" + PROBE_PATTERN + r")")
_STATUS = re.compile(r"dosong/v1/status/(" + PROBE_PATTERN + r")")


def part(probe: str) -> int:
    """Return the partition (0 to 63) of a probe: the first byte of SHA-256 of its id, low six bits."""
    return sha256(probe.encode()).digest()[0] & (PARTS - 1)


def up(probe: str) -> str:
    """Topic on which `probe` publishes its records."""
    return f"dosong/v1/up/{part(probe)}/{probe}"


def up_filter(number: int) -> str:
    """Filter for one partition's records."""
    return f"dosong/v1/up/{number}/+"


def ack(probe: str) -> str:
    """Topic of the signed acknowledgement for `probe`."""
    return f"dosong/v1/ack/{probe}"


def config(probe: str) -> str:
    """Topic of the signed configuration for `probe`."""
    return f"dosong/v1/config/{probe}"


def status(probe: str) -> str:
    """Topic of the retained liveness word of `probe`."""
    return f"dosong/v1/status/{probe}"


def parse_up(topic: str) -> str:
    """Return the probe id of an `up` topic. Raises Refused("wrong_topic") if shape or part is wrong."""
    match = _UP.fullmatch(topic)
    if match is None:
        raise Refused("wrong_topic", "dosong/v1/up/<part>/<probe> expected")
    if int(match[1]) != part(match[2]):
        raise Refused("wrong_topic", f"{match[2]} belongs to part {part(match[2])}")
    return match[2]


def parse_status(topic: str) -> str:
    """Return the probe id of a `status` topic. Raises Refused("wrong_topic") if it is another topic."""
    match = _STATUS.fullmatch(topic)
    if match is None:
        raise Refused("wrong_topic", "dosong/v1/status/<probe> expected")
    return match[1]
