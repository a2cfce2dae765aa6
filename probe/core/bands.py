"""EARFCN to LTE band and downlink frequency.

Source: 3GPP TS 36.101, table 5.7.3-1, as far as facts have checked it (25 pairs of band and EARFCN printed by real
modems). Bands that no operator of the campaign uses are left out: an EARFCN outside the table is not believed.
"""

from __future__ import annotations

from typing import NamedTuple


class _Row(NamedTuple):
    band: int
    first: int
    last: int
    low_khz: int


_TABLE: tuple[_Row, ...] = (
    _Row(1, 0, 599, 2_110_000),
    _Row(2, 600, 1199, 1_930_000),
    _Row(3, 1200, 1949, 1_805_000),
    _Row(4, 1950, 2399, 2_110_000),
    _Row(5, 2400, 2649, 869_000),
    _Row(7, 2750, 3449, 2_620_000),
    _Row(8, 3450, 3799, 925_000),
    _Row(12, 5010, 5179, 729_000),
    _Row(13, 5180, 5279, 746_000),
    _Row(17, 5730, 5849, 734_000),
    _Row(18, 5850, 5999, 860_000),
    _Row(19, 6000, 6149, 875_000),
    _Row(20, 6150, 6449, 791_000),
    _Row(25, 8040, 8689, 1_930_000),
    _Row(26, 8690, 9039, 859_000),
    _Row(28, 9210, 9659, 758_000),
    _Row(38, 37750, 38249, 2_570_000),
    _Row(39, 38250, 38649, 1_880_000),
    _Row(40, 38650, 39649, 2_300_000),
    _Row(41, 39650, 41589, 2_496_000),
    _Row(42, 41590, 43589, 3_400_000),
    _Row(43, 43590, 45589, 3_600_000),
    _Row(66, 66436, 67335, 2_110_000),
)

BANDS = frozenset(row.band for row in _TABLE)


def _row(earfcn: int) -> _Row | None:
    return next((row for row in _TABLE if row.first <= earfcn <= row.last), None)


def band_of(earfcn: int) -> int | None:
    """Return the LTE band that a downlink EARFCN lies in; None if it lies in none that we know."""
    row = _row(earfcn)
    return None if row is None else row.band


def downlink_khz(earfcn: int) -> int | None:
    """Return the downlink carrier frequency in kHz (100 kHz steps); None outside the table."""
    row = _row(earfcn)
    return None if row is None else row.low_khz + 100 * (earfcn - row.first)
