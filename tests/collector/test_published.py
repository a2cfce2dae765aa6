"""What anybody may see: no probe, no test, no surveyed position leaves by the public database."""

from __future__ import annotations

from collector.core.points import site_line
from collector.published import OPEN, open_lines


def test_positions_are_rounded_and_the_rest_stays_inside() -> None:
    names = ('Tỉnh lat=1, "x"', "Xã", "Xóm lon=2.55555 ở lat=9.99999 kia")
    site = site_line(("19", "05755", "h"), names, {"lat": 21.683512, "lon": 105.799999, "probes": 1}, 0)
    unit = 'unit_1mo,level=hamlet,hamlet=h,plmn=all tests=3i,lat=21.683512,lon=-0.000012,name="a" 1'
    inside = [
        "test,probe=p downlink_bps=1i 1",
        "probe_state,probe=p lat=1.5 1",
        "coverage,probe=p state=3i 1",
        "quota n=1i 1",
    ]
    shown = list(open_lines([site, unit, *inside]))
    assert len(shown) == 2
    assert "lat=21.68," in shown[0]
    assert "lon=105.8," in shown[0]
    assert "lat=21.68,lon=-0.0," in shown[1]
    assert "21.6835" not in "".join(shown)
    assert {one.partition(",")[0] for one in shown} <= OPEN
