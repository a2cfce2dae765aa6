"""The receiver: right sentences, and what the real gpsd makes of them."""

import json
import math
import os
import socket
import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest

from sim import nmea, ns, site, state

WHEN = datetime(2026, 11, 22, 3, 4, 5, 120_000, tzinfo=UTC)
METRES_PER_DEGREE = 111_320


def metres(lat, lon, at):
    """Distance on the plane between two near places."""
    east = (lon - at[1]) * METRES_PER_DEGREE * math.cos(math.radians(lat))
    return math.hypot((lat - at[0]) * METRES_PER_DEGREE, east)


def test_checksum_of_the_textbook_sentence():
    body = "GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,"
    assert nmea.checksum(body) == "47"


@pytest.mark.parametrize(
    ("degrees", "digits", "letters", "expected"),
    [
        (21.7, 2, "NS", ("2142.00000", "N")),
        (-106.5, 3, "EW", ("10630.00000", "W")),
        (0.9999999999, 2, "NS", ("0100.00000", "N")),
    ],
)
def test_coordinate_never_shows_sixty_minutes(degrees, digits, letters, expected):
    assert nmea.coordinate(degrees, digits, letters) == expected


def test_burst_holds_four_kinds_with_right_checksums():
    lines = nmea.burst(21.7, 106.0, WHEN, seed=1, count=0).split("\r\n")
    assert [line[3:6] for line in lines if line] == ["RMC", "GGA", "GSA", "GSV", "GSV"]
    for line in filter(None, lines):
        body, _, check = line[1:].partition("*")
        assert nmea.checksum(body) == check
        assert len(line) <= 82 - 2


def test_noise_is_seeded_and_stays_within_metres():
    places = [nmea.noisy(21.7, 106.0, 7, count) for count in range(200)]
    assert places == [nmea.noisy(21.7, 106.0, 7, count) for count in range(200)]
    assert places != [nmea.noisy(21.7, 106.0, 8, count) for count in range(200)]
    assert max(metres(lat, lon, (21.7, 106.0)) for lat, lon in places) < 4.3


class _Gpsd:
    """The JSON stream of a gpsd on loopback, with deadlines."""

    def __init__(self, port):
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.connection.sendall(b'?WATCH={"enable":true,"json":true};\n')
        self.stream = self.connection.makefile("rb")

    def fix(self, deadline_s=15, *, accept=lambda _tpv: True):
        """Next TPV of a 3D fix with a time that `accept` takes, or None at the deadline."""
        end = time.monotonic() + deadline_s
        while (left := end - time.monotonic()) > 0:
            self.connection.settimeout(left)
            try:
                report = json.loads(self.stream.readline() or b"{}")
            except TimeoutError:
                return None
            if report.get("class") == "TPV" and report.get("mode") == 3 and "time" in report and accept(report):
                return report
        return None

    def close(self):
        self.stream.close()
        self.connection.close()


@pytest.mark.services
def test_gpsd_sees_the_site_loses_it_and_finds_it_moved(run):
    spec = state.Spec("a", link="loopback", lat=21.7, lon=106.0, gps_hz=5, attached=True)
    up = site.up(run, spec)
    assert (up.interface, up.netns_pid, up.gateway, up.gps) == ("lo", None, None, "on")
    gpsd = _Gpsd(up.gpsd_port)
    seen = gpsd.fix()
    assert seen is not None
    assert metres(seen["lat"], seen["lon"], (21.7, 106.0)) < 20
    assert site.control(run, "a", "gps", action="off").gps == "off"
    gpsd.close()
    silence = (datetime.now(UTC) + timedelta(seconds=0.3)).isoformat()
    silent = _Gpsd(up.gpsd_port)
    assert silent.fix(2, accept=lambda tpv: tpv["time"] > silence) is None
    silent.close()
    site.control(run, "a", "gps", action="on")
    site.control(run, "a", "gps", action="move", lat=21.8, lon=106.1)
    moved = _Gpsd(up.gpsd_port)
    assert moved.fix(accept=lambda tpv: metres(tpv["lat"], tpv["lon"], (21.8, 106.1)) < 20) is not None
    moved.close()
    assert site.control(run, "a", "gps", action="stop").gps == "stopped"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", up.gpsd_port), timeout=2)
    assert site.control(run, "a", "gps", action="on").gps == "on"
    again = _Gpsd(up.gpsd_port)
    assert again.fix() is not None
    again.close()


@pytest.mark.netns
@pytest.mark.services
@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
def test_gpsd_of_a_site_is_heard_inside_it_only(run):
    up = site.up(run, state.Spec("a", gps_hz=5, attached=True))
    assert (up.gpsd_host, up.gpsd_port) == ("127.0.0.1", 2947)
    with ns.popen(up.netns_pid, ["gpspipe", "-w", "-n", "30"], stdout=subprocess.PIPE, text=True) as pipe:
        reports = [json.loads(line) for line in pipe.stdout]
    fixes = [report for report in reports if report["class"] == "TPV" and report.get("mode") == 3]
    assert fixes
    assert all(metres(fix["lat"], fix["lon"], (21.7, 106.0)) < 20 for fix in fixes)
    with ns.popen(up.core_pid, ["gpspipe", "-w", "-n", "1"], stderr=subprocess.PIPE, stdout=subprocess.PIPE) as outside:
        outside.communicate(timeout=10)
    assert outside.returncode != 0
