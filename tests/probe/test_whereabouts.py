"""What the receiver says beside tests, with a real gpsd: a probe that was carried off, the time, a kept survey."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from probe.core.survey import Surveyed
from probe.devices.clock import mono_ms
from probe.devices.gps import GpsReader
from probe.settings import load
from probe.spool import Spool
from probe.whereabouts import Whereabouts, gnss_time, located, read_survey, write_survey
from tests.probe.kit import ORIGIN, STAMP, make_recorder, read, wait_until
from tests.probe.test_gps import Receiver, free_port, gpsd_on
from wire.note import Signer

HERE = (210_285_117, 1_058_048_166)
"""What the receiver of `test_gps` says."""
FOUND = Surveyed(lat_e7=HERE[0], lon_e7=HERE[1], radius_mm=12_000, fixes=80, cut=2, window_ms=300_000)
_SETTINGS = """\
probe = "p-test"
origin = "{origin}"
state_dir = "{state}"
key_file = "record.key"
site = "s-one"
referral = "TN1"
ack_vkey = "{ack}"
{more}
[schedule]
slot_s = 600
seed = "{seed}"
[engine]
server = "http://127.0.0.1:1"
[[modem]]
id = "m1"
port = "/dev/null"
interface = "lo"
"""


@pytest.fixture
def reader() -> Iterator[GpsReader]:
    receiver, port = Receiver(), free_port()
    with gpsd_on(port, receiver), closing(GpsReader("127.0.0.1", port, retry_s=0.2)) as made:
        wait_until(lambda: made.position() is not None, 30, "a fix")
        yield made
    receiver.close()


def write_settings(folder: Path, more: str = "") -> Path:
    path = folder / "probe.toml"
    ack = Signer.generate(f"{ORIGIN}/ack").verifier.vkey
    path.write_text(_SETTINGS.format(origin=ORIGIN, state=folder, ack=ack, seed="0" * 64, more=more))
    return path


@pytest.mark.services
def test_a_probe_that_was_carried_off_is_an_event_with_its_distance(tmp_path: Path, reader: GpsReader) -> None:
    spool = Spool(tmp_path, 64 << 20)
    far = (HERE[0] + 100_000, HERE[1])  # 1.1 km north
    watch = Whereabouts(reader, lambda: far, make_recorder(spool))
    for minute in range(70):
        wait_until(lambda: reader.position() is not None, 30)
        watch.tend(replace(STAMP, mono_ms=minute * 60_000))
    (kept,) = spool.waiting(10)
    told = read(kept.raw)
    assert (told.event, told.was, told.now) == ("probe_moved", "site", "away")
    assert 1_090 < told.distance_m < 1_130
    spool.close()


@pytest.mark.services
def test_the_receiver_tells_the_time_of_its_last_fix(reader: GpsReader) -> None:
    told = gnss_time(reader)
    assert told is not None
    assert 1_769_000_000_000 < told.t_ms < 1_771_000_000_000  # 1 February 2026, as the receiver says
    assert 0 <= mono_ms() - told.mono_ms < 60_000
    assert gnss_time(None) is None


def test_a_kept_survey_is_the_position_unless_the_settings_name_one(tmp_path: Path) -> None:
    settings = load(write_settings(tmp_path))
    assert located(settings).position is None
    write_survey(tmp_path, FOUND)
    assert read_survey(tmp_path) == FOUND
    place = located(settings).position
    assert place is not None
    assert (place.lat_e7, place.lon_e7) == HERE
    named = load(write_settings(tmp_path, "[position]\nlat_e7 = 1\nlon_e7 = 2\n"))
    assert located(named) is named
    (tmp_path / "survey.json").write_text("{half")
    assert located(settings).position is None


def test_a_survey_without_a_receiver_ends_with_what_to_do(tmp_path: Path) -> None:
    def survey(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "probe", "survey", "--config", str(tmp_path / "probe.toml"), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    write_settings(tmp_path)
    assert survey().returncode == 78
    write_settings(tmp_path, f'[gps]\nhost = "127.0.0.1"\nport = {free_port()}\n')
    done = survey("--wait", "2")
    assert done.returncode == 1
    assert "open sky" in done.stderr
    assert not (tmp_path / "survey.json").exists()
