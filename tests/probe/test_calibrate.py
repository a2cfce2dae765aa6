"""The host's own ceiling: what the cores' load and the USB port say of it, and a real test watched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe import calibrate
from probe.core import host_load
from probe.core.engine_terms import EngineResult
from probe.core.host_load import Load, Moment
from probe.devices.throughput import DosongEngine, EngineRequest
from tests.probe.point_double import Double

LOOPBACK = calibrate.Ceiling(2_000_000_000, 1_500_000_000)


def _moments(rates_bps: list[int], busy_ppm: tuple[int, int]) -> list[Moment]:
    """A tenth of a second for each rate, downlink; ticks of a ten-thousandth of a second."""
    moments, moved = [Moment(0, 0, 0, ((0, 0), (0, 0)))], 0
    for number, rate in enumerate(rates_bps, 1):
        moved += rate // 80
        cores = tuple((number * ppm // 1000, number * 1000) for ppm in busy_ppm)
        moments.append(Moment(number * 100_000, moved, 0, cores))
    return moments


def test_the_busiest_core_says_at_which_rate_it_would_be_full() -> None:
    load = host_load.load_of(
        _moments([0, 8_000_000, *[40_000_000] * 10, 1_000_000], (100_000, 250_000)), is_uplink=False
    )
    assert load == Load(40_000_000, 250_000)
    assert load.ceiling_bps == 160_000_000
    assert host_load.load_of(_moments([40_000_000] * 5, (0, 0)), is_uplink=True) is None, "nothing went up"
    assert host_load.load_of([], is_uplink=False) is None


@given(st.integers(200_000, 300_000_000), st.integers(0, 1_000_000))
def test_a_ceiling_is_never_below_the_rate_that_was_seen(rate_bps: int, busy_ppm: int) -> None:
    assert Load(rate_bps, busy_ppm).ceiling_bps >= rate_bps


def test_cores_are_read_as_the_kernel_writes_them() -> None:
    stat = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 10 1 5 80 2 0 2 0 0 0\ncpu1 0 0 0 100 0 0 0 0 0 0\nintr 1 2\n"
    assert host_load.cores_of(stat) == ((18, 100), (0, 100))
    assert host_load.cores_of(Path("/proc/stat").read_text())


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ((Load(40_000_000, 400_000), None, None), (100_000_000, 1_500_000_000)),
        ((Load(40_000_000, 400_000), Load(10_000_000, 500_000), 480), (100_000_000, 20_000_000)),
        ((Load(8_000_000, 10_000), Load(8_000_000, 10_000), 12), (8_400_000, 8_400_000)),
        ((None, None, 5000), (2_000_000_000, 1_500_000_000)),
    ],
)
def test_the_least_bound_counts(seen: tuple[Load | None, Load | None, int | None], expected: tuple[int, int]) -> None:
    on_site = calibrate.OnSite(EngineResult("ok"), *seen)
    assert on_site.ceiling(LOOPBACK) == calibrate.Ceiling(*expected)


def test_the_usb_port_of_a_modem_is_found_above_its_interface(tmp_path: Path) -> None:
    port = tmp_path / "devices/usb1/1-1"
    (port / "1-1:1.4/net/wwan0").mkdir(parents=True)
    (port / "speed").write_text("480\n")
    (port / "idVendor").write_text("2c7c\n")
    (tmp_path / "net/wwan0").mkdir(parents=True)
    (tmp_path / "net/wwan0/device").symlink_to(port / "1-1:1.4")
    assert calibrate.bus_mbit("wwan0", tmp_path / "net") == 480
    assert calibrate.bus_mbit("eth7", tmp_path / "net") is None
    assert calibrate.bus_mbit("lo") is None


def test_a_test_near_the_links_ceiling_is_marked() -> None:
    """Over loopback against a point: what the cores do is seen, and a low ceiling marks the next test."""
    double = Double()
    request = EngineRequest(
        "lo", "127.0.0.1", double.port, "p1", probe="p-abc", quiet_wait_s=0, max_downlink_bytes=30_000_000,
        uplink_s=0, echo_count=2,
    )  # fmt: skip
    try:
        seen = calibrate.measure_link("lo", lambda: DosongEngine().run(request))
        assert seen.result.downlink_bps is not None
        assert seen.downlink is not None
        assert seen.downlink.link_bps > 1_000_000
        near = replace(request, ceiling_downlink_bps=1_000_000)
        assert DosongEngine().run(near).downlink_limit in {"host", "cap"}
    finally:
        double.close()


def test_the_ceiling_over_its_own_link_counts_for_a_modem_else_that_of_loopback() -> None:
    own = calibrate.Ceiling(8_400_000, 8_000_000)
    marks = {calibrate.MARK: LOOPBACK.as_mark(), calibrate.link_mark("m1"): own.as_mark()}
    assert calibrate.known(marks.get, "m1") == own
    assert calibrate.known(marks.get, "m2") == LOOPBACK
    assert calibrate.known({}.get, "m1") is None
