"""Records with as much of them as the ledger needs: read in a quarter of the time, once their bytes were checked.

Only for bytes that `wire.codec` has read whole before, here or in the opener: nothing is validated again. The fields
that are there have the names and values of the whole record's.
"""

from __future__ import annotations

from typing import cast

import msgspec
from msgspec import Struct

from wire.records import AnyRecord, GapRecord


class LightPath(Struct):
    """Of `path`."""

    verdict: str


class LightPosition(Struct):
    """Of `position`."""

    source: str
    lat_e7: int | None = None
    lon_e7: int | None = None
    surveyed_offset_m: int | None = None


class LightCell(Struct):
    """Of `radio.before`."""

    plmn: str | None = None
    rsrp_dbm_x10: int | None = None


class LightRadio(Struct):
    """Of `radio`."""

    before: LightCell | None = None


class Common(Struct, tag_field="kind", kw_only=True):
    """What every kind has."""

    probe: str
    epoch: int
    seq: int
    prev: str
    boot: str
    mono_ms: int
    t_ms: int | None = None


class LightTest(Common, tag="test", kw_only=True):
    """A test record."""

    clock: str
    simulated: bool
    modem: str
    outcome: str
    slot_ms: int | None = None
    referral: str | None = None
    plmn: str | None = None
    stage: str | None = None
    cause: str | None = None
    path: LightPath | None = None
    position: LightPosition | None = None
    radio: LightRadio | None = None
    downlink_bytes: int | None = None
    uplink_bytes: int | None = None
    downlink_bps: int | None = None
    uplink_bps: int | None = None
    rtt_us_median: int | None = None
    loss_ppm: int | None = None
    downlink_receipt: str | None = None
    uplink_receipt: str | None = None


class LightCoverage(Common, tag="coverage", kw_only=True):
    """A coverage record."""

    modem: str
    states: str
    causes: str
    plmn: str | None = None
    offline_ms: int | None = None


class LightBoot(Common, tag="boot", kw_only=True):
    """A boot record."""


class LightEvent(Common, tag="event", kw_only=True):
    """An event."""

    event: str
    set_mono_ms: int | None = None
    set_t_ms: int | None = None


_DECODER = msgspec.json.Decoder(LightTest | LightCoverage | LightBoot | LightEvent | GapRecord)


def read(body: bytes) -> AnyRecord:
    """Read the object of a record that has been read whole before."""
    return cast(AnyRecord, _DECODER.decode(body))
